//! A line as the Go node's log has it: `<time> [<LEVEL>] <message and attributes>`.
//!
//! Owns: that form. Never: decides what is told.

use std::fmt;

use nex_api::Time;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

#[derive(Debug)]
pub(super) struct GoLine;

impl<S, N> FormatEvent<S, N> for GoLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "{} [{}] ", Time::now().to_seconds_text(), event.metadata().level())?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
