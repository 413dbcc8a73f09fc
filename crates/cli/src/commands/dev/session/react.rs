//! What follows from a key, and from what is heard.
//!
//! Owns: calls of ours, and which of what is heard concerns the file. Never: waits.

use crossterm::event::Event;
use nex_api::event::{WORKLOAD_RESTARTING, WORKLOAD_STOPPED, WorkloadStopped};
use nex_api::workload::fact;
use nex_bus::Message;
use nex_client::{EventLine, LogRecord};
use tokio::time::Instant;

use super::{Next, Running, Session};
use crate::commands::dev::calls::{Request, only};
use crate::commands::dev::feeds::Heard;
use crate::commands::dev::happening::{Call, Happening, Payload};
use crate::commands::dev::keys::Action;

/// Calls of ours that wait for their replies; more are refused.
const MOST_CALLS: usize = 16;

impl Session {
    pub(super) fn key(&mut self, event: &Event) -> Next {
        let action = self.keys.decide(event);
        match action {
            Action::Quit => return Next::End(Ok(())),
            Action::Nothing => {}
            Action::Ask | Action::Edited | Action::Dismiss => self.draw_line(),
            Action::Send(line) => {
                self.draw_line();
                match Request::typed(&line, self.only_subject()) {
                    Ok(request) => self.call(request),
                    Err(error) => {
                        let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                        self.remark(format!("{}{hint}", error.message));
                    }
                }
            }
            Action::Repeat => match self.last_call.clone() {
                Some(request) => self.call(request),
                None => self.remark("no call was made or seen yet; c makes one".to_owned()),
            },
            Action::ToggleLogs => {
                self.hides_logs = !self.hides_logs;
                let state = if self.hides_logs { "hidden" } else { "shown" };
                self.remark(format!("logs are {state} from now on; l changes it"));
            }
            Action::Help => self.tell_keys(),
        }
        Next::GoOn
    }

    /// The subject that a call can only mean now.
    fn only_subject(&self) -> Option<&str> {
        only(self.running.as_ref().map_or(&[], |running| running.subjects.as_slice()))
    }

    /// The question of `c` with what is typed, or none.
    fn draw_line(&mut self) {
        let question = match self.only_subject() {
            Some(subject) => format!("send to {subject} (@file, Esc):"),
            None => "SUBJECT PAYLOAD (Esc):".to_owned(),
        };
        self.setup.flow.ask(&question, self.keys.line());
    }

    fn call(&mut self, request: Request) {
        if self.n_calls >= MOST_CALLS {
            return self.remark(format!("{MOST_CALLS} calls wait for their replies already"));
        }
        self.n_calls += 1;
        self.meter.ours();
        let (subject, payload) = (request.subject.clone(), Payload::of(&request.payload));
        self.setup.flow.show(&Happening::Call(Call { subject, ours: true, payload }));
        self.last_call = Some(request.clone());
        let answer = self.caller.call(request);
        self.feeds.answer(answer);
    }

    pub(super) fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Answer(answer) => {
                self.n_calls -= 1;
                self.setup.flow.show(&answer);
            }
            Heard::Log(record) => self.hear_log(record),
            Heard::Event(event) => self.hear_event(&event),
            Heard::Counted(metrics) => {
                let runs = |running: &Running| running.ids.contains(&metrics.id);
                if self.running.as_ref().is_some_and(runs)
                    && let Some(counted) = self.meter.read(*metrics)
                {
                    self.setup.flow.show(&counted);
                }
            }
            Heard::Call(message) => self.hear_call(message),
        }
    }

    fn hear_log(&mut self, record: LogRecord) {
        if self.hides_logs || !self.ours.concerns(record.name.as_deref(), &record.workload_id) {
            return;
        }
        let payload = Payload::of(&record.bytes);
        let LogRecord { level, stream, workload_id: id, .. } = record;
        self.setup.flow.show(&Happening::Log { level, stream, id, payload });
    }

    /// What ends while it is being replaced ends as it should.
    fn hear_event(&mut self, event: &EventLine) {
        let starts_again = event.kind == WORKLOAD_RESTARTING;
        if self.deploying.is_some() || !(starts_again || event.kind == WORKLOAD_STOPPED) {
            return;
        }
        let Ok(ended) = serde_json::from_value::<WorkloadStopped>(event.payload.clone()) else {
            return;
        };
        let Some(running) = &mut self.running else { return };
        if !running.ids.contains(&ended.id) {
            return;
        }
        let name = running.name.clone();
        if !starts_again {
            running.ids.retain(|id| *id != ended.id);
            if running.ids.is_empty() {
                self.running = None;
                self.feeds.observe_nothing();
                self.setup.watch.forget();
            }
        }
        let said = ended.error.map(|error| error.message).filter(|message| !message.is_empty());
        let why = said.or_else(|| ended.metadata.get(fact::EXIT).cloned());
        self.setup.flow.show(&Happening::Ended { name, id: ended.id, why, starts_again });
    }

    fn hear_call(&mut self, message: Message) {
        if self.caller.is_ours(&message) {
            return;
        }
        let request = Request::seen(message);
        if self.limiter.admits(Instant::now()) {
            let (subject, payload) = (request.subject.clone(), Payload::of(&request.payload));
            self.setup.flow.show(&Happening::Call(Call { subject, ours: false, payload }));
        }
        self.last_call = Some(request);
    }
}
