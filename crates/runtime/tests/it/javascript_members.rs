//! Every member of the globals that docs/guide/javascript.md lists, each with an assertion of its own.
//!
//! 1. A member does what the standard says, as far as one line can tell.
//! 2. What the page lists is asserted here, and nothing that it lists as missing is there.

use crate::support::javascript;

/// A member and what must hold of it; both run inside a function.
type Case = (&'static str, &'static str);

/// All of them run in one call, and the names of those that do not hold come back.
async fn hold(cases: &[Case]) {
    let tests: String = cases
        .iter()
        .map(|(member, holds)| format!("[{member:?}, async () => {holds}],\n"))
        .collect();
    let source = format!(
        "const encode = (text) => new TextEncoder().encode(text);
        const decode = (bytes) => new TextDecoder().decode(bytes);
        const thrown = (work) => {{ try {{ work(); }} catch (error) {{ return error.name; }} }};
        const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
        const tests = [{tests}];
        export default async () => {{
          const wrong = [];
          for (const [member, holds] of tests) {{
            const held = await holds().catch((error) => `${{error}}`);
            if (held !== true) wrong.push(`${{member}}: ${{held}}`);
          }}
          return wrong.join('\\n');
        }};"
    );
    assert_eq!(javascript(&source).deploy().await.text("").await, "");
}

const TIMERS: &[Case] = &[
    ("setTimeout", "await new Promise((done) => setTimeout((a, b) => done(a + b === 3), 1, 1, 2))"),
    (
        "setInterval, clearInterval",
        "await new Promise((done) => { let n = 0; const id = setInterval(() => { if (++n === 3) { clearInterval(id); done(true); } }, 1); })",
    ),
    (
        "clearTimeout",
        "await new Promise((done) => { clearTimeout(setTimeout(() => done(false), 1)); setTimeout(() => done(true), 5); })",
    ),
    (
        "queueMicrotask",
        "await new Promise((done) => { const seen = []; queueMicrotask(() => seen.push('m')); setTimeout(() => done(same(seen, ['m'])), 0); })",
    ),
    ("scheduler.wait", "(await scheduler.wait(1)) === undefined"),
];

const TEXT: &[Case] = &[
    ("TextEncoder.encoding", "new TextEncoder().encoding === 'utf-8'"),
    ("TextEncoder.encode", "same([...encode('é')], [195, 169])"),
    (
        "TextEncoder.encodeInto",
        "same(new TextEncoder().encodeInto('abc', new Uint8Array(2)), { read: 2, written: 2 })",
    ),
    (
        "TextDecoder.encoding",
        "new TextDecoder('UTF8').encoding === 'utf-8' && new TextDecoder('utf-16be').encoding === 'utf-16be'",
    ),
    (
        "TextDecoder.fatal",
        "new TextDecoder('utf-8', { fatal: true }).fatal && !new TextDecoder().fatal",
    ),
    (
        "TextDecoder.ignoreBOM",
        "new TextDecoder('utf-8', { ignoreBOM: true }).decode(new Uint8Array([239, 187, 191, 97])).length === 2",
    ),
    ("TextDecoder.decode", "decode(new Uint8Array([0xe2, 0x82, 0xac])) === '€'"),
    ("atob", "atob('aGk=') === 'hi' && thrown(() => atob('*')) === 'InvalidCharacterError'"),
    ("btoa", "btoa('\\u00ff') === '/w==' && thrown(() => btoa('€')) === 'InvalidCharacterError'"),
];

const CRYPTO: &[Case] = &[
    (
        "crypto.getRandomValues",
        "(() => { const bytes = new Uint8Array(64); return crypto.getRandomValues(bytes) === bytes && bytes.some((b) => b !== 0); })()",
    ),
    (
        "crypto.randomUUID",
        "crypto.randomUUID().length === 36 && crypto.randomUUID() !== crypto.randomUUID()",
    ),
    (
        "crypto.subtle.digest",
        "same(await Promise.all(['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'].map(async (name) => (await crypto.subtle.digest(name, encode('x'))).byteLength)), [20, 32, 48, 64])",
    ),
    (
        "crypto.subtle.importKey, CryptoKey",
        "(async () => { const key = await crypto.subtle.importKey('raw', encode('k'), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']); return key instanceof CryptoKey && key.type === 'secret' && key.extractable === false && same(key.usages, ['sign']) && key.algorithm.name === 'HMAC' && key.algorithm.hash.name === 'SHA-256'; })()",
    ),
    // The second test vector of RFC 4231.
    (
        "crypto.subtle.sign",
        "(async () => { const key = await crypto.subtle.importKey('raw', encode('Jefe'), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']); const sum = await crypto.subtle.sign('HMAC', key, encode('what do ya want for nothing?')); return new Uint8Array(sum).toHex() === '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'; })()",
    ),
    (
        "crypto.subtle.verify",
        "(async () => { const key = await crypto.subtle.importKey('raw', encode('k'), { name: 'HMAC', hash: 'SHA-1' }, false, ['sign', 'verify']); const sum = await crypto.subtle.sign('HMAC', key, encode('x')); return await crypto.subtle.verify('HMAC', key, sum, encode('x')) && !await crypto.subtle.verify('HMAC', key, sum, encode('y')); })()",
    ),
];

const URLS: &[Case] = &[
    (
        "URL parts",
        "(() => { const u = new URL('https://u:p@h.example:81/a/b?q=1#f'); return same([u.origin, u.protocol, u.username, u.password, u.host, u.hostname, u.port, u.pathname, u.search, u.hash], ['https://h.example:81', 'https:', 'u', 'p', 'h.example:81', 'h.example', '81', '/a/b', '?q=1', '#f']); })()",
    ),
    (
        "URL setters",
        "(() => { const u = new URL('http://a/'); u.protocol = 'https:'; u.username = 'u'; u.password = 'p'; u.host = 'b:82'; u.hostname = 'c'; u.port = '83'; u.pathname = '/x'; u.search = 'y=1'; u.hash = 'z'; const all = u.href === 'https://u:p@c:83/x?y=1#z'; u.href = 'http://d/'; return all && u.href === 'http://d/'; })()",
    ),
    (
        "URL.searchParams",
        "(() => { const u = new URL('http://a/?x=1'); u.searchParams.set('x', '2'); return u.search === '?x=2'; })()",
    ),
    ("URL.canParse", "URL.canParse('/x', 'http://a/') && !URL.canParse('/x')"),
    ("URL.parse", "URL.parse('http://a/').host === 'a' && URL.parse('nope') === null"),
    (
        "URL.toString, URL.toJSON",
        "same(new URL('http://a/'), 'http://a/') && `${new URL('http://a/')}` === 'http://a/'",
    ),
    (
        "URLSearchParams constructors",
        "['?a=1&b=2', { a: '1', b: '2' }, [['a', '1'], ['b', '2']], new URLSearchParams('a=1&b=2')].every((init) => new URLSearchParams(init).toString() === 'a=1&b=2')",
    ),
    (
        "URLSearchParams.append, getAll, get, has, size",
        "(() => { const p = new URLSearchParams(); p.append('a', '1'); p.append('a', '2'); return same([p.getAll('a'), p.get('a'), p.get('b'), p.has('a'), p.has('a', '3'), p.size], [['1', '2'], '1', null, true, false, 2]); })()",
    ),
    (
        "URLSearchParams.delete",
        "(() => { const p = new URLSearchParams('a=1&a=2&b=3'); p.delete('a', '1'); const one = p.toString(); p.delete('a'); return one === 'a=2&b=3' && p.toString() === 'b=3'; })()",
    ),
    (
        "URLSearchParams.set",
        "(() => { const p = new URLSearchParams('a=1&b=2&a=3'); p.set('a', '4'); p.set('c', '5'); return p.toString() === 'a=4&b=2&c=5'; })()",
    ),
    (
        "URLSearchParams.sort",
        "(() => { const p = new URLSearchParams('b=1&a=2'); p.sort(); return p.toString() === 'a=2&b=1'; })()",
    ),
    (
        "URLSearchParams.entries, keys, values, forEach",
        "(() => { const p = new URLSearchParams('a=1&b=2'); const seen = []; p.forEach((value, name) => seen.push([name, value])); return same([[...p.entries()], [...p.keys()], [...p.values()], [...p], seen], [seen, ['a', 'b'], ['1', '2'], seen, seen]); })()",
    ),
];

const HTTP: &[Case] = &[
    (
        "Headers.append, get, has, set, delete",
        "(() => { const h = new Headers({ A: '1' }); h.append('a', ' 2 '); const two = h.get('A'); h.set('a', '3'); const three = h.get('a'); h.delete('A'); return same([two, three, h.has('a'), h.get('a')], ['1, 2', '3', false, null]); })()",
    ),
    (
        "Headers.getSetCookie",
        "(() => { const h = new Headers([['Set-Cookie', 'a'], ['Set-Cookie', 'b']]); return same(h.getSetCookie(), ['a', 'b']); })()",
    ),
    (
        "Headers.entries, keys, values, forEach",
        "(() => { const h = new Headers({ B: '2', a: '1' }); const seen = []; h.forEach((value, name) => seen.push([name, value])); return same([[...h.entries()], [...h.keys()], [...h.values()], [...h]], [seen, ['a', 'b'], ['1', '2'], seen]); })()",
    ),
    (
        "Headers refuse",
        "thrown(() => new Headers({ 'a\\n': '1' })) === 'TypeError' && thrown(() => new Headers({ a: 'x\\ny' })) === 'TypeError'",
    ),
    (
        "Request.url, method, headers, redirect, signal, bodyUsed",
        "(() => { const r = new Request('http://a', { headers: { b: '1' } }); return same([r.url, r.method, r.headers.get('b'), r.redirect, r.signal.aborted, r.bodyUsed], ['http://a/', 'GET', '1', 'follow', false, false]); })()",
    ),
    (
        "Request.text, json, bytes, arrayBuffer",
        "(async () => { const r = () => new Request('http://a', { method: 'POST', body: '[1]' }); return same([await r().text(), await r().json(), [...await r().bytes()], (await r().arrayBuffer()).byteLength], ['[1]', [1], [91, 49, 93], 3]); })()",
    ),
    (
        "Request.clone",
        "(async () => { const r = new Request('http://a', { method: 'PUT', body: 'x' }); const c = r.clone(); return await r.text() === 'x' && await c.text() === 'x' && c.method === 'PUT' && r.bodyUsed && await r.text().catch((error) => error.name) === 'TypeError'; })()",
    ),
    (
        "Request refuses",
        "['CONNECT', 'a b'].every((method) => thrown(() => new Request('http://a', { method })) === 'TypeError') && thrown(() => new Request('http://u:p@a/')) === 'TypeError'",
    ),
    (
        "Response.status, statusText, ok, headers, bodyUsed",
        "(() => { const r = new Response('x', { status: 404, statusText: 'gone', headers: { a: '1' } }); return same([r.status, r.statusText, r.ok, r.headers.get('a'), r.headers.get('content-type'), r.bodyUsed], [404, 'gone', false, '1', 'text/plain;charset=UTF-8', false]); })()",
    ),
    (
        "Response.text, json, bytes, arrayBuffer",
        "(async () => { const r = () => new Response('[1]'); return same([await r().text(), await r().json(), [...await r().bytes()], (await r().arrayBuffer()).byteLength], ['[1]', [1], [91, 49, 93], 3]); })()",
    ),
    (
        "Response.json",
        "(async () => { const r = Response.json({ a: 1 }, { status: 201 }); return r.status === 201 && same(await r.json(), { a: 1 }); })()",
    ),
    (
        "fetch",
        "/host_services.http.allow/.test(await fetch('http://a.example/').catch((error) => error.message))",
    ),
];

const EVENTS: &[Case] = &[
    (
        "AbortController.signal, abort",
        "(() => { const c = new AbortController(); c.abort('why'); return c.signal instanceof AbortSignal && c.signal.aborted && c.signal.reason === 'why'; })()",
    ),
    (
        "AbortSignal.abort, throwIfAborted",
        "thrown(() => AbortSignal.abort().throwIfAborted()) === 'AbortError' && thrown(() => new AbortController().signal.throwIfAborted()) === undefined",
    ),
    (
        "AbortSignal.timeout",
        "(await new Promise((done) => { const s = AbortSignal.timeout(1); s.onabort = () => done(s.reason.name); })) === 'TimeoutError'",
    ),
    (
        "AbortSignal.any",
        "(() => { const c = new AbortController(); const any = AbortSignal.any([new AbortController().signal, c.signal]); const before = any.aborted; c.abort('x'); return !before && any.reason === 'x'; })()",
    ),
    (
        "Event",
        "(() => { const e = new Event('a', { cancelable: true }); e.preventDefault(); const f = new Event('b'); f.preventDefault(); return same([e.type, e.cancelable, e.defaultPrevented, f.defaultPrevented], ['a', true, true, false]); })()",
    ),
    (
        "CustomEvent",
        "same([new CustomEvent('a', { detail: { n: 1 } }).detail, new CustomEvent('a').detail], [{ n: 1 }, null])",
    ),
    (
        "EventTarget.addEventListener, dispatchEvent, removeEventListener",
        "(() => { const t = new EventTarget(); const seen = []; const f = (e) => seen.push(e.type); t.addEventListener('a', f); t.addEventListener('a', f); t.addEventListener('a', { handleEvent: () => seen.push('object') }, { once: true }); t.dispatchEvent(new Event('a')); t.removeEventListener('a', f); t.dispatchEvent(new Event('a')); return same(seen, ['a', 'object']); })()",
    ),
    (
        "Event.stopImmediatePropagation",
        "(() => { const t = new EventTarget(); let n = 0; t.addEventListener('a', (e) => { n++; e.stopImmediatePropagation(); }); t.addEventListener('a', () => n++); t.dispatchEvent(new Event('a')); return n === 1; })()",
    ),
    (
        "DOMException",
        "(() => { const e = new DOMException('m', 'TimeoutError'); return e instanceof Error && same([e.message, e.name, e.code], ['m', 'TimeoutError', 23]); })()",
    ),
    (
        "performance.now",
        "(() => { const a = performance.now(); return typeof a === 'number' && performance.now() >= a; })()",
    ),
    (
        "structuredClone",
        "(() => { const from = { m: new Map([[1, new Set([2])]]), d: new Date(3), e: new RangeError('x'), b: new Uint8Array([4]), r: /a/g, n: 5n }; const to = structuredClone(from); return to.m.get(1).has(2) && to.d.getTime() === 3 && to.e instanceof RangeError && to.b[0] === 4 && to.r.flags === 'g' && to.n === 5n && to.b !== from.b; })()",
    ),
];

const CONSOLE: &[Case] = &[(
    "console methods",
    "['assert', 'count', 'debug', 'error', 'group', 'groupEnd', 'info', 'log', 'warn'].every((name) => console[name]() === undefined)",
)];

const ALL: &[&[Case]] = &[TIMERS, TEXT, CRYPTO, URLS, HTTP, EVENTS, CONSOLE];

#[tokio::test]
async fn timers_and_microtasks() {
    hold(TIMERS).await;
}

#[tokio::test]
async fn text_and_base64() {
    hold(TEXT).await;
}

#[tokio::test]
async fn crypto() {
    hold(CRYPTO).await;
}

#[tokio::test]
async fn urls() {
    hold(URLS).await;
}

#[tokio::test]
async fn headers_requests_responses() {
    hold(HTTP).await;
}

#[tokio::test]
async fn events_signals_clones() {
    hold(EVENTS).await;
}

#[tokio::test]
async fn console() {
    hold(CONSOLE).await;
}

#[tokio::test]
async fn what_the_page_lists_is_asserted_and_what_it_denies_is_not_there() {
    let page = include_str!("../../../../docs/guide/javascript.md");
    let globals = page.split("## Globals").nth(1).unwrap().split("`Math.random`").next().unwrap();
    let asserted: String =
        ALL.iter().flat_map(|cases| cases.iter()).map(|(_, holds)| *holds).collect();
    let (mut n_there, mut absent) = (0, Vec::new());
    for row in globals.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.trim_matches('|').split(" | ");
        for name in quoted(cells.next().unwrap()) {
            assert!(asserted.contains(&name), "{name} is listed and not asserted");
            n_there += 1;
        }
        absent.extend(quoted(cells.next().unwrap()));
    }
    assert!(n_there > 25 && absent.len() > 5, "{n_there} and {absent:?}");
    absent.retain(|name| name != "subtle");
    let source = format!("() => {absent:?}.filter((name) => name in globalThis)");
    assert_eq!(javascript(&source).deploy().await.text("").await, "[]");
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
