//! Texts and numbers in so many columns.
//!
//! Owns: cutting, padding, units. Never: lets a control code through.

use std::time::Duration;

use ratatui::text::Span;

use super::super::meter::Percentile;
use crate::ui;

/// What is not known.
pub(super) const UNKNOWN: &str = "–";

/// Strangers' text as it may stand on a screen.
pub(in super::super) fn clean(text: &str) -> String {
    ui::harmless(text).replace('\t', "    ")
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// Cut to at most so many columns, with a sign that it was.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut taken = 0;
    for c in text.chars() {
        taken += width(c.encode_utf8(&mut [0; 4]));
        if taken + 1 > columns {
            break;
        }
        kept.push(c);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// Cut or filled up to so many columns.
pub(super) fn left(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let blanks = columns.saturating_sub(width(&text));
    text + &" ".repeat(blanks)
}

/// Likewise, at the right end of them.
pub(super) fn right(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    " ".repeat(columns.saturating_sub(width(&text))) + &text
}

/// Pieces of so many columns each; at least one.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut taken = 0;
    for c in text.chars() {
        let n = width(c.encode_utf8(&mut [0; 4]));
        if taken + n > columns.max(1) {
            pieces.push(String::new());
            taken = 0;
        }
        taken += n;
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}

/// Lines of at most so many columns, between words where words are short enough.
pub(super) fn fold(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.extend(wrap(word, columns)),
        }
    }
    lines
}

/// What is known, or the sign that it is not.
pub(super) fn known<T>(value: Option<T>, shown: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), shown)
}

/// `0`, `0.25`, `9.5`, `120`, `12k`, `1.2M`.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        r if r < 0.01 => "<0.01".to_owned(),
        r if r < 1.0 => format!("{r:.2}"),
        r if r < 99.95 => format!("{r:.1}"),
        r if r < 9_999.5 => format!("{r:.0}"),
        r if r < 999_500.0 => format!("{:.0}k", r / 1e3),
        r if r < 99_950_000.0 => format!("{:.1}M", r / 1e6),
        r if r < 9.999e9 => format!("{:.0}M", r / 1e6),
        _ => ">10G".to_owned(),
    }
}

/// `250µs`, `1.2ms`, `340ms`, `2.5s`, `>10s`.
pub(super) fn percentile(percentile: Percentile) -> String {
    let sign = if percentile.is_above { ">" } else { "" };
    let text = match percentile.seconds {
        s if s < 0.000_999_5 => format!("{:.0}µs", s.max(0.0) * 1e6),
        s if s < 0.009_95 => format!("{:.1}ms", s * 1e3),
        s if s < 0.999_5 => format!("{:.0}ms", s * 1e3),
        s if s < 9.95 => format!("{s:.1}s"),
        s if s < 999.5 => format!("{s:.0}s"),
        s => format!("{:.0}h", (s / 3_600.0).min(999.0)),
    };
    format!("{sign}{text}")
}

/// `0.4`, `12.5`, `100`, `1600`.
pub(super) fn percent(percent: f64) -> String {
    match percent {
        p if p < 99.95 => format!("{p:.1}"),
        p if p < 9_999.5 => format!("{p:.0}"),
        _ => ">10k".to_owned(),
    }
}

/// `900K`, `12M`, `1.5G`.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(super) fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    let mut shown = bytes / 1024.0;
    for unit in ['K', 'M', 'G', 'T', 'P'] {
        if shown < 9.95 && unit != 'K' {
            return format!("{shown:.1}{unit}");
        }
        if shown < 999.5 {
            return format!("{shown:.0}{unit}");
        }
        shown /= 1024.0;
    }
    ">1E".to_owned()
}

/// `7`, `999`, `1k`, `>9k`.
pub(super) fn count(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..10_000 => format!("{}k", n / 1_000),
        _ => ">9k".to_owned(),
    }
}

/// `7s`, `12m`, `5h`, `40d`: the greatest unit alone.
pub(super) fn age(age: Duration) -> String {
    match age.as_secs() {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3_600 => format!("{}m", s / 60),
        s @ 3_600..86_400 => format!("{}h", s / 3_600),
        s if s / 86_400 < 1_000 => format!("{}d", s / 86_400),
        s => format!("{}y", (s / 31_557_600).min(999)),
    }
}

/// `120µs`, `1.5 ms`, `2 s`: with room for it.
pub(super) fn elapsed(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s.fract() < 0.05 => format!("{s:.0} s"),
        s => format!("{s:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_take_so_many_columns() {
        assert_eq!(left("ab", 4), "ab  ");
        assert_eq!(right("ab", 4), "  ab");
        assert_eq!(left("abcdef", 4), "abc…");
        assert_eq!(left("漢字漢字", 5), "漢字…");
        assert_eq!(left("漢字漢字", 4), "漢… ");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(wrap("abcde", 2), ["ab", "cd", "e"]);
        assert_eq!(wrap("", 2), [""]);
        assert_eq!(fold("a bc defgh i", 4), ["a bc", "defg", "h i"]);
    }

    #[test]
    fn no_control_code_is_left() {
        assert_eq!(clean("a\u{1b}[31m\tb"), "a\u{fffd}[31m    b");
    }

    #[test]
    fn numbers_fit_their_columns_whatever_they_are() {
        let extremes =
            [0.0, 1e-9, 0.5, 99.94, 99.96, 9_999.4, 9_999.6, 1e6, 1e9, 1e300, f64::INFINITY];
        for number in extremes {
            assert!(rate(number).chars().count() <= 5, "{}", rate(number));
            assert!(percent(number).chars().count() <= 4, "{}", percent(number));
            for is_above in [false, true] {
                let text = percentile(Percentile { seconds: number, is_above });
                assert!(text.chars().count() <= 6, "{text}");
            }
        }
        for n in [0, 1023, 1024, 999 * 1024, 1 << 20, 1 << 30, 1 << 40, u64::MAX] {
            assert!(bytes(n).chars().count() <= 5, "{}", bytes(n));
            assert!(count(n).chars().count() <= 3, "{}", count(n));
            assert!(age(Duration::from_secs(n)).chars().count() <= 4);
        }
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [rate(0.0), rate(0.254), rate(12.34), rate(12_345.0)],
            ["0", "0.25", "12.3", "12k"]
        );
        let p99 = |seconds| percentile(Percentile { seconds, is_above: false });
        assert_eq!(
            [p99(0.000_25), p99(0.001_24), p99(0.34), p99(2.5)],
            ["250µs", "1.2ms", "340ms", "2.5s"]
        );
        assert_eq!(percentile(Percentile { seconds: 10.0, is_above: true }), ">10s");
        assert_eq!([bytes(900 << 10), bytes(12 << 20), bytes(3 << 29)], ["900K", "12M", "1.5G"]);
        assert_eq!([age(Duration::from_secs(59)), age(Duration::from_secs(7200))], ["59s", "2h"]);
        assert_eq!(
            [elapsed(Duration::from_micros(400)), elapsed(Duration::from_secs(2))],
            ["400 µs", "2 s"]
        );
    }
}
