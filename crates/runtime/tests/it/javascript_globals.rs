//! The globals: each case is an expression and what it is, as JSON.

use nex_functions::runtime::Level;

use crate::support::javascript;

async fn check(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        let source =
            format!("async () => {{ return JSON.stringify({expression}) ?? 'undefined' }}");
        let guest = javascript(&source).deploy().await;
        match guest.call("").await {
            Ok(reply) => {
                assert_eq!(String::from_utf8_lossy(&reply.payload), *expected, "{expression}");
            }
            Err(error) => panic!("{expression}: {error}"),
        }
    }
}

/// What `console.log(arguments)` writes.
async fn logged(arguments: &str) -> String {
    let guest = javascript(&format!("() => {{ console.log({arguments}) }}")).deploy().await;
    guest.reply("").await;
    guest.log.text()
}

#[tokio::test]
async fn values_look_as_in_node() {
    let cases = [
        ("'plain', 1, true, null, undefined", "plain 1 true null undefined"),
        ("['a', 1, [2, [3, [4]]]]", "[ 'a', 1, [ 2, [ 3, [Array] ] ] ]"),
        (
            "{a: 1, 'b-c': \"it's\", [Symbol('s')]: 2n}",
            "{ a: 1, 'b-c': \"it's\", [Symbol(s)]: 2n }",
        ),
        ("{a: {b: {c: {d: 1}}}}", "{ a: { b: { c: [Object] } } }"),
        ("{}, [], -0, NaN", "{} [] -0 NaN"),
        (
            "new Map([['a', {b: 1}]]), new Set([1, 'x'])",
            "Map(1) { 'a' => { b: 1 } } Set(2) { 1, 'x' }",
        ),
        (
            "new Uint8Array([1, 2]), new ArrayBuffer(3)",
            "Uint8Array(2) [ 1, 2 ] ArrayBuffer { byteLength: 3 }",
        ),
        ("class Foo { x = 1 }", "[class Foo]"),
        ("new (class Foo { x = 1 })()", "Foo { x: 1 }"),
        (
            "function named() {}, () => {}, async function later() {}",
            "[Function: named] [Function (anonymous)] [AsyncFunction: later]",
        ),
        ("new Date(0), /a+/gi", "1970-01-01T00:00:00.000Z /a+/gi"),
        (
            "Promise.resolve(1), new Promise(() => {}), (() => { const p = Promise.reject(2); p.catch(() => {}); return p })()",
            "Promise { 1 } Promise { <pending> } Promise { <rejected> 2 }",
        ),
        (
            "Object.create(null), Object.assign(Object.create(null), {a: 1})",
            "[Object: null prototype] {} [Object: null prototype] { a: 1 }",
        ),
        ("[1, , 3], [undefined, null]", "[ 1, <1 empty item>, 3 ] [ undefined, null ]"),
        (
            "{get a() { return 1 }, set b(x) {}, get c() { return 1 }, set c(x) {}}",
            "{ a: [Getter], b: [Setter], c: [Getter/Setter] }",
        ),
        (
            "(() => { const a = {n: 1}; a.self = a; return a })()",
            "<ref *1> { n: 1, self: [Circular *1] }",
        ),
        ("new Number(3), new String('x'), Symbol('y')", "[Number: 3] [String: 'x'] Symbol(y)"),
        ("new Headers({'X-A': '1', b: '2'})", "Headers { b: '2', 'x-a': '1' }"),
        (
            "'%s is %d, %i, %j and %o%%', 'x', 1.5, 2.7, {a: 1}, [1], 'rest'",
            "x is 1.5, 2, {\"a\":1} and [ 1 ]% rest",
        ),
        ("'100%', 'sure'", "100% sure"),
        ("Math", "Object [Math] {}"),
    ];
    for (arguments, expected) in cases {
        assert_eq!(logged(arguments).await, expected, "{arguments}");
    }
}

#[tokio::test]
async fn long_values_take_several_lines() {
    let object =
        logged("{first: 'a'.repeat(30), second: 'b'.repeat(30), third: 'c'.repeat(30)}").await;
    let (a, b, c) = ("a".repeat(30), "b".repeat(30), "c".repeat(30));
    assert_eq!(object, format!("{{\n  first: '{a}',\n  second: '{b}',\n  third: '{c}'\n}}"));
    let numbers = logged("Array.from({length: 200}, (_, i) => i)").await;
    assert!(numbers.starts_with("[\n  0, 1, 2, "), "{numbers}");
    assert!(numbers.ends_with("... 100 more items\n]"), "{numbers}");
}

#[tokio::test]
async fn an_error_is_logged_with_its_stack() {
    let text = logged("new TypeError('bad')").await;
    assert!(text.starts_with("TypeError: bad\n    at <anonymous> (probe.js:1:"), "{text}");
}

#[tokio::test]
async fn console_methods_have_levels() {
    let guest = javascript(
        "() => {
            console.debug('d'); console.info('i'); console.warn('w'); console.error('e');
            console.group('g'); console.log('in\\nside'); console.groupEnd();
            console.assert(true, 'no'); console.assert(1 > 2, 'yes');
            console.count(); console.count();
        }",
    )
    .deploy()
    .await;
    guest.reply("").await;
    let lines = guest.log.lines();
    let lines: Vec<_> = lines.iter().map(|(level, line)| (*level, line.as_str())).collect();
    assert_eq!(
        lines,
        [
            (Level::Debug, "d"),
            (Level::Info, "i"),
            (Level::Warn, "w"),
            (Level::Error, "e"),
            (Level::Info, "g"),
            (Level::Info, "  in"),
            (Level::Info, "  side"),
            (Level::Error, "Assertion failed: yes"),
            (Level::Info, "default: 1"),
            (Level::Info, "default: 2"),
        ]
    );
}

#[tokio::test]
async fn text_is_encoded_and_decoded() {
    check(&[
        ("[...new TextEncoder().encode('é🦀')]", "[195,169,240,159,166,128]"),
        ("[...new TextEncoder().encode('\\ud800')]", "[239,191,189]"),
        ("new TextEncoder().encodeInto('aé', new Uint8Array(2))", r#"{"read":1,"written":1}"#),
        ("new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 104, 0xff]))", r#""h�""#),
        ("new TextDecoder('utf-16le').decode(new Uint8Array([104, 0, 0x3d, 0xd8, 0x00, 0xdf]))", r#""h🜀""#),
        ("(() => { const d = new TextDecoder(); return d.decode(new Uint8Array([0xc3]), {stream: true}) + d.decode(new Uint8Array([0xa9])) })()", r#""é""#),
        ("(() => { try { new TextDecoder('utf-8', {fatal: true}).decode(new Uint8Array([255])) } catch (e) { return e.name } })()", r#""TypeError""#),
        ("(() => { try { new TextDecoder('koi8-r') } catch (e) { return e.name } })()", r#""RangeError""#),
        ("atob(btoa('hello'))", r#""hello""#),
    ])
    .await;
}

#[tokio::test]
async fn urls_follow_the_standard() {
    check(&[
        ("new URL('../b?x=1#h', 'https://user:pw@Example.com:443/a/c')", r#""https://user:pw@example.com/b?x=1#h""#),
        ("new URL('https://münchen.de/').host", r#""xn--mnchen-3ya.de""#),
        ("(() => { const u = new URL('http://a/'); u.searchParams.append('q', 'a b&c'); u.hash = 'x'; u.port = '81'; return u })()", r#""http://a:81/?q=a+b%26c#x""#),
        ("(() => { const u = new URL('http://a/?x=1'); const p = u.searchParams; u.search = '?y=2'; return [...p] })()", r#"[["y","2"]]"#),
        ("[URL.canParse('nope'), URL.parse('nope')]", "[false,null]"),
        ("(() => { try { new URL('nope') } catch (e) { return e.name } })()", r#""TypeError""#),
        ("new URLSearchParams({a: '1', b: 'ü'}).toString()", r#""a=1&b=%C3%BC""#),
        ("(() => { const p = new URLSearchParams('?b=2&a=1&a=3'); p.sort(); p.set('a', '9'); return [p.toString(), p.size, p.has('a', '9'), p.getAll('b')] })()", r#"["a=9&b=2",2,true,["2"]]"#),
    ])
    .await;
}

#[tokio::test]
async fn headers_and_responses_follow_the_standard() {
    check(&[
        ("[...new Headers([['B', ' 2 '], ['a', '1'], ['b', '3']])]", r#"[["a","1"],["b","2, 3"]]"#),
        (
            "(() => { try { new Headers({'a b': '1'}) } catch (e) { return e.name } })()",
            r#""TypeError""#,
        ),
        ("await new Response('x').text()", r#""x""#),
        ("await Response.json({a: 1}).json()", r#"{"a":1}"#),
        ("Response.json({}).headers.get('Content-Type')", r#""application/json""#),
        ("[new Response('', {status: 404}).ok, new Response().ok]", "[false,true]"),
    ])
    .await;
}

#[tokio::test]
async fn clones_are_deep() {
    check(&[
        ("(() => { const a = {d: new Date(5), m: new Map([[1, {x: 1}]])}; a.self = a; const b = structuredClone(a); return [b !== a, b.self === b, b.d.getTime(), b.m.get(1).x, b.m.get(1) !== a.m.get(1)] })()", "[true,true,5,1,true]"),
        ("[...structuredClone(new Uint8Array([1, 2, 3]).subarray(1))]", "[2,3]"),
        ("(() => { try { structuredClone(() => 1) } catch (e) { return [e.name, e.code] } })()", r#"["DataCloneError",25]"#),
        ("structuredClone(new RangeError('x')).message", r#""x""#),
    ])
    .await;
}

#[tokio::test]
async fn signals_abort() {
    check(&[
        ("(() => { const c = new AbortController(); let heard = 0; c.signal.addEventListener('abort', () => heard++); c.abort(); c.abort(); return [heard, c.signal.aborted, c.signal.reason.name] })()", r#"[1,true,"AbortError"]"#),
        ("await new Promise((resolve) => { AbortSignal.timeout(5).onabort = (e) => resolve(e.type) })", r#""abort""#),
        ("AbortSignal.any([AbortSignal.abort('why')]).reason", r#""why""#),
    ])
    .await;
}

#[tokio::test]
async fn clocks_go_forward() {
    check(&[
        ("(() => { const a = performance.now(); const b = performance.now(); return a >= 0 && b >= a && a < 4000 })()", "true"),
        ("Math.abs(Date.now() - (performance.timeOrigin + performance.now())) < 50", "true"),
        ("Date.now() > 1.7e12", "true"),
    ])
    .await;
}

#[tokio::test]
async fn there_is_nothing_to_escape_with() {
    let names = ["process", "require", "WebAssembly", "std", "os", "native", "internals"];
    for name in names {
        check(&[(&format!("typeof {name}"), r#""undefined""#)]).await;
    }
}

#[tokio::test]
async fn crypto_follows_the_standard() {
    check(&[
        ("crypto.getRandomValues(new Uint16Array(3)).length", "3"),
        ("(() => { try { crypto.getRandomValues(new Uint8Array(65537)) } catch (e) { return e.name } })()", r#""QuotaExceededError""#),
        ("(() => { try { crypto.getRandomValues(new Float32Array(1)) } catch (e) { return e.name } })()", r#""TypeMismatchError""#),
        ("/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())", "true"),
        ("new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode('abc'))).toHex()", r#""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#),
        ("new Uint8Array(await crypto.subtle.digest('SHA-1', new TextEncoder().encode('abc'))).toHex()", r#""a9993e364706816aba3e25717850c26c9cd0d89d""#),
        ("await (async () => { const e = (t) => new TextEncoder().encode(t); const k = await crypto.subtle.importKey('raw', e('key'), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']); const s = await crypto.subtle.sign('HMAC', k, e('x')); return [await crypto.subtle.verify('HMAC', k, s, e('x')), await crypto.subtle.verify('HMAC', k, s, e('y'))] })()", "[true,false]"),
    ])
    .await;
}

#[tokio::test]
async fn requests_follow_the_standard() {
    check(&[
        ("[new Request('http://a/b', {method: 'post', body: 'x'}).method, await new Request('http://a/b', {method: 'PUT', body: 'x'}).text()]", r#"["POST","x"]"#),
        ("(() => { try { new Request('http://a/', {body: 'x'}) } catch (e) { return e.name } })()", r#""TypeError""#),
        ("(() => { try { new Request('/x') } catch (e) { return e.name } })()", r#""TypeError""#),
        ("await fetch('http://a/', {signal: AbortSignal.abort('why')}).catch((e) => e)", r#""why""#),
    ])
    .await;
}
