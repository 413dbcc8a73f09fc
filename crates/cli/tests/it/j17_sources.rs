//! J17: sources as people write them.
//!
//! 1. A TypeScript file runs.
//! 2. An ES module with an asynchronous default export runs.
//! 3. A syntax error is refused at deploy with line, column, and the line itself with a caret.
//! 4. So is an import, with the command that makes one file of many.

use crate::world::{World, assert_refused};

#[tokio::test]
async fn j17_typescript_and_modules_run_and_what_cannot_is_refused() {
    let world = World::up().await;
    let typed = "interface Pair { a: number; b: number }\n\nexport default async (subject: string, payload: Uint8Array): Promise<number> => {\n  const { a, b } = JSON.parse(new TextDecoder().decode(payload)) as Pair;\n  return a + b;\n};\n";
    world.deploy("add.ts", typed, "ts.add").await;
    assert_eq!(world.ask("ts.add", r#"{"a":1,"b":2}"#).await.payload, "3");
    let module = "export default async (subject, payload) => `${subject}: ${payload.text()}`;\n";
    world.deploy("module.mjs", module, "js.module").await;
    assert_eq!(world.ask("js.module", "hello").await.payload, "js.module: hello");

    let hint = "export default (subject, payload) =>";
    world.file("typed.ts", "export default (subject: string) => {\n  const x: = 1;\n};\n");
    let refused = world.nex.run(&["run", "typed.ts", "--on", "never"]).await;
    assert_refused(refused, 1, &["typed.ts:2:", "NEX-210", "const x: = 1;", "^"], hint);
    world.file("files.js", "import fs from \"fs\";\nexport default () => fs;\n");
    let refused = world.nex.run(&["run", "files.js", "--on", "never"]).await;
    let says = ["files.js:1:16: ", "NEX-210", "import fs from \"fs\";", "^", "npx esbuild"];
    assert_refused(refused, 1, &says, hint);
    world.finish().await;
}
