//! A terminal's screen as a picture that scales and can be selected.
//!
//! Owns: colours, fonts and places. Never: changes a character.

use std::fmt::Write as _;

use nex_testkit::vt100::{Cell, Color, Screen};

/// Width of a character and height of a line, in the picture's units; those of the font below at 14.
const COLUMN: f64 = 8.43;
const LINE: f64 = 18.0;
const MARGIN: f64 = 16.0;
const BACKGROUND: &str = "#1e2127";
const FOREGROUND: &str = "#d7dae0";
/// The first sixteen colours of a terminal, as soft as the background asks for.
const PALETTE: [&str; 16] = [
    "#3f4451", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0",
    "#7f8796", "#ff7b86", "#b5e890", "#ffd68a", "#7cc4ff", "#dd9bf0", "#6fd3e0", "#ffffff",
];

/// Lines that are drawn one below the other.
#[derive(Debug)]
pub(super) struct Drawing {
    columns: u16,
    n_lines: usize,
    body: String,
}

/// How a run of characters looks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Style {
    foreground: String,
    background: Option<String>,
    is_bold: bool,
    is_underlined: bool,
}

impl Drawing {
    pub(super) fn new(columns: u16) -> Self {
        Self { columns, n_lines: 0, body: String::new() }
    }

    /// The line of a command that was typed.
    pub(super) fn typed(&mut self, command: &str) {
        let plain = |foreground: &str| Style {
            foreground: foreground.to_owned(),
            background: None,
            is_bold: false,
            is_underlined: false,
        };
        self.run(0, "$", &plain(PALETTE[2]));
        self.run(2, command, &plain(PALETTE[15]));
        self.n_lines += 1;
    }

    /// What stands on a screen, down to its last line with text.
    pub(super) fn screen(&mut self, screen: &Screen) {
        let (rows, columns) = screen.size();
        let (rows, columns) = (u16::from(rows), u16::from(columns));
        let is_empty = |row: u16| {
            (0..columns).all(|column| {
                screen.cell(row, column).is_none_or(|cell| cell.contents().trim().is_empty())
            })
        };
        let last = (0..rows).rev().find(|row| !is_empty(*row)).map_or(0, |row| row + 1);
        for row in 0..last {
            self.row(screen, row, columns);
            self.n_lines += 1;
        }
    }

    /// The whole picture, with a text for those who cannot see it.
    pub(super) fn finish(self, title: &str) -> String {
        let width = f64::from(self.columns) * COLUMN + 2.0 * MARGIN;
        let n_lines = u32::try_from(self.n_lines).unwrap_or(u32::MAX);
        let height = f64::from(n_lines) * LINE + 2.0 * MARGIN;
        let title = escaped(title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{title}\">\n\
             <title>{title}</title>\n\
             <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
             <g font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace\" \
             font-size=\"14\" xml:space=\"preserve\">\n{}</g>\n</svg>\n",
            self.body
        )
    }

    /// Draws a row as runs of characters that look alike.
    fn row(&mut self, screen: &Screen, row: u16, columns: u16) {
        let mut column = 0;
        while column < columns {
            let start = column;
            let style = style_of(screen.cell(row, start));
            let mut text = String::new();
            while column < columns && style_of(screen.cell(row, column)) == style {
                let cell = screen.cell(row, column);
                let contents = cell.map_or("", Cell::contents);
                text.push_str(if contents.is_empty() { " " } else { contents });
                column += if cell.is_some_and(Cell::is_wide) { 2 } else { 1 };
            }
            let shown = if style.background.is_some() { text.as_str() } else { text.trim_end() };
            if !shown.is_empty() {
                self.run(start, shown, &style);
            }
        }
    }

    fn run(&mut self, column: u16, text: &str, style: &Style) {
        let n_lines = u32::try_from(self.n_lines).unwrap_or(u32::MAX);
        let x = MARGIN + f64::from(column) * COLUMN;
        let y = MARGIN + f64::from(n_lines) * LINE;
        let n_columns = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let width = f64::from(n_columns) * COLUMN;
        if let Some(background) = &style.background {
            writeln!(
                self.body,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{LINE}\" fill=\"{background}\"/>"
            )
            .expect("a string takes everything");
        }
        let bold = if style.is_bold { " font-weight=\"bold\"" } else { "" };
        let underlined = if style.is_underlined { " text-decoration=\"underline\"" } else { "" };
        writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
             fill=\"{}\"{bold}{underlined}>{}</text>",
            y + LINE - 5.0,
            style.foreground,
            escaped(text)
        )
        .expect("a string takes everything");
    }
}

fn style_of(cell: Option<&Cell>) -> Style {
    let Some(cell) = cell else {
        return Style {
            foreground: FOREGROUND.to_owned(),
            background: None,
            is_bold: false,
            is_underlined: false,
        };
    };
    let foreground = named(cell.fgcolor());
    let background = named(cell.bgcolor());
    let (foreground, background) = if cell.inverse() {
        let swapped = background.unwrap_or_else(|| BACKGROUND.to_owned());
        (swapped, Some(foreground.unwrap_or_else(|| FOREGROUND.to_owned())))
    } else {
        let dimmed = if cell.dim() { PALETTE[8] } else { FOREGROUND };
        (foreground.unwrap_or_else(|| dimmed.to_owned()), background)
    };
    Style { foreground, background, is_bold: cell.bold(), is_underlined: cell.underline() }
}

/// A colour in the picture's words; nothing for the terminal's own.
fn named(color: Color) -> Option<String> {
    match color {
        Color::Default => None,
        Color::Idx(index) => Some(indexed(index)),
        Color::Rgb(red, green, blue) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
    }
}

/// The 256 colours: sixteen by name, a cube of six steps, and greys.
fn indexed(index: u8) -> String {
    if let Some(named) = PALETTE.get(usize::from(index)) {
        return (*named).to_owned();
    }
    if index >= 232 {
        let grey = 8 + (index - 232) * 10;
        return format!("#{grey:02x}{grey:02x}{grey:02x}");
    }
    let step = |n: u8| if n == 0 { 0 } else { 55 + n * 40 };
    let cube = index - 16;
    format!("#{:02x}{:02x}{:02x}", step(cube / 36), step(cube / 6 % 6), step(cube % 6))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use nex_testkit::vt100::Parser;

    use super::*;

    fn drawn(bytes: &[u8]) -> String {
        let mut parser = Parser::new(3.try_into().unwrap(), 20.try_into().unwrap(), 0);
        parser.process(bytes);
        let mut drawing = Drawing::new(20);
        drawing.screen(parser.screen());
        drawing.finish("a test")
    }

    #[test]
    fn text_stays_text_and_cannot_be_markup() {
        let picture = drawn(b"a <b> & \"c\"");
        assert!(picture.contains(">a &lt;b&gt; &amp; &quot;c&quot;"), "{picture}");
    }

    #[test]
    fn what_looks_alike_is_one_run_in_its_colours() {
        let picture = drawn(b"\x1b[31mred\x1b[0m \x1b[1;7mbold\x1b[0m \x1b[38;5;196mcube\x1b[0m");
        assert!(picture.contains(&format!("fill=\"{}\">red</text>", PALETTE[1])), "{picture}");
        assert!(picture.contains("font-weight=\"bold\">bold"), "{picture}");
        assert!(picture.contains("fill=\"#ff0000\">cube"), "{picture}");
    }

    #[test]
    fn a_picture_ends_with_the_last_line_that_has_text() {
        let height = |bytes: &[u8]| drawn(bytes).split("height=\"").nth(1).unwrap()[..2].to_owned();
        assert_eq!(height(b"one"), "50");
        assert_eq!(height(b"one\r\ntwo"), "68");
    }
}
