//! TypeScript: types are taken away at deploy, and places are those of the author's file.

use crate::support::{javascript, typescript};

const TYPES: &str = "interface Order { id: number; }

type Orders = Order[];

enum Colour { Red = 'red', Blue = 'blue' }
namespace Tools { export const twice = (n: number): number => n * 2; }

";

#[tokio::test]
async fn types_enums_and_namespaces_are_taken() {
    let source = format!(
        "{TYPES}export default async (subject: string, payload: Uint8Array): Promise<unknown> => {{
            const orders = [{{ id: 4 }}] as Orders;
            return [subject, Colour.Blue, Tools.twice(orders[0]!.id), payload.length satisfies number];
        }}"
    );
    let guest = typescript(&source).deploy().await;
    assert_eq!(guest.guest.shape(), "ES module");
    assert_eq!(guest.text("x").await, r#"["probe.subject","blue",8,1]"#);
    let classic = typescript("(subject: string, payload: Uint8Array) => payload").deploy().await;
    assert_eq!(classic.guest.shape(), "classic script");
    assert_eq!(classic.text("same").await, "same");
}

#[tokio::test]
async fn an_exception_names_the_line_of_the_author() {
    let source = format!(
        "{TYPES}export default (): void => {{\n  const a: Order = null as never;\n  a.id;\n}};\n"
    );
    let line = TYPES.lines().count() + 3;
    let (_, detail) = typescript(&source).deploy().await.failure("").await;
    assert!(detail.contains(&format!("probe.ts:{line}:")), "{detail}");
    let source = format!("{TYPES}throw new Error('early');\n");
    let refusal = typescript(&source).refusal().await;
    let line = TYPES.lines().count() + 1;
    assert!(refusal.message.starts_with(&format!("probe.ts:{line}:")), "{}", refusal.message);
    assert!(refusal.detail.unwrap().starts_with("throw new Error('early');\n"));
}

#[tokio::test]
async fn what_is_no_typescript_is_refused_with_its_place() {
    let refusal = typescript("const a: number = 1;\nconst b: = 2;\n").refusal().await;
    assert!(refusal.message.starts_with("probe.ts:2:"), "{}", refusal.message);
    assert!(refusal.detail.unwrap().starts_with("const b: = 2;\n"));
    let refusal = typescript("@decorated class A {}\nexport default () => 1").refusal().await;
    assert!(refusal.message.contains("decorators are not supported"), "{}", refusal.message);
}

#[tokio::test]
async fn a_source_that_may_not_be_read_is_not_quoted() {
    for setup in [javascript("const secret = ;"), typescript("const secret: = 1;")] {
        let refusal = setup.unquoted().refusal().await;
        assert!(refusal.message.starts_with("probe."), "{}", refusal.message);
        assert!(!refusal.detail.unwrap_or_default().contains("secret"));
    }
}

#[tokio::test]
async fn the_time_of_day_stands_still_while_the_top_level_runs() {
    let source = "const first = Date.now(); let last = first; for (let n = 0; n < 300_000; n++) last = Date.now();
        () => [last - first, first > 1.7e12, Date.now() >= first]";
    assert_eq!(javascript(source).deploy().await.text("").await, "[0,true,true]");
}

#[tokio::test]
async fn an_import_is_refused_where_it_is_written() {
    for setup in [
        javascript("// tools\nimport fs from \"fs\";\nexport default () => fs"),
        typescript("// tools\nimport fs from \"fs\";\nexport default () => fs"),
    ] {
        let refusal = setup.refusal().await;
        assert!(refusal.message.contains(":2:16: "), "{}", refusal.message);
        assert!(refusal.message.contains("npx esbuild"), "{}", refusal.message);
        assert!(refusal.detail.unwrap().starts_with("import fs from \"fs\";\n               ^"));
    }
}
