//! Events that are due -> chunks of a response body.
//!
//! The body is pulled: nothing is made before the client has taken what came before, so that a slow reader
//! costs one chunk of memory however far it falls behind.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::StreamExt;
use futures::stream;
use tokio::time::{Instant, sleep_until};

use super::datacentres::{self, Positions};
use super::event::{self, Slot};
use super::slots::Slots;
use crate::app::{App, Seat};
use crate::bodies::{BYTE_EVERY, lost};
use crate::faults::Fault;

const CHUNK_BYTES: usize = 32 * 1024;
/// Events of one millisecond travel together rather than one a wake-up.
const PAUSE_MIN: Duration = Duration::from_millis(2);
/// A piece of a line that does not end.
static LINE: [u8; CHUNK_BYTES] = [b'x'; CHUNK_BYTES];

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// Server-sent events.
    Events,
    /// A JSON object a line, without ids.
    Lines,
}

/// What the next pull gives.
enum State {
    Greeting,
    Flowing,
    /// What is left of an event that goes out byte by byte.
    Slow(Bytes),
    Endless,
    Silent,
    Lost,
    Ended,
}

pub(super) struct Feed {
    app: Arc<App>,
    slots: Slots,
    next: u64,
    positions: Positions,
    form: Form,
    state: State,
    ends_at: Instant,
    heartbeat_at: Instant,
    _seat: Seat,
}

impl Feed {
    pub(super) fn new(
        app: Arc<App>,
        seat: Seat,
        slots: Slots,
        first: u64,
        positions: Positions,
        form: Form,
    ) -> Self {
        let now = Instant::now();
        let (session, heartbeat) = (app.settings.wikipedia_session, app.settings.wikipedia_heartbeat);
        let state = if form == Form::Events { State::Greeting } else { State::Flowing };
        Self {
            app,
            slots,
            next: first,
            positions,
            form,
            state,
            ends_at: now + session,
            heartbeat_at: now + heartbeat,
            _seat: seat,
        }
    }

    pub(super) fn body(self) -> Body {
        let chunks = stream::unfold(self, |mut feed| async move {
            let chunk = feed.chunk().await?;
            Some((chunk, feed))
        });
        Body::from_stream(chunks)
    }

    async fn chunk(&mut self) -> Option<io::Result<Bytes>> {
        match &mut self.state {
            State::Greeting => {
                self.state = State::Flowing;
                let mut out = ":ok\n\n".to_owned();
                self.write_resting(&mut out);
                Some(Ok(Bytes::from(out)))
            }
            State::Flowing => self.flow().await,
            State::Slow(rest) => {
                let byte = rest.split_to(1);
                if rest.is_empty() {
                    self.state = State::Flowing;
                }
                self.wait(Instant::now() + BYTE_EVERY).await;
                (!self.is_over()).then_some(Ok(byte))
            }
            State::Endless => (!self.is_over()).then_some(Ok(Bytes::from_static(&LINE))),
            State::Silent => {
                self.wait(self.ends_at).await;
                None
            }
            State::Lost => {
                self.state = State::Ended;
                Box::pin(lost()).next().await
            }
            State::Ended => None,
        }
    }

    async fn flow(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if self.is_over() {
                return None;
            }
            let now = Instant::now();
            let now_ms = self.app.now().timestamp_millis();
            if self.slots.per_s > 0 && self.slots.time_ms(self.next) <= now_ms {
                self.heartbeat_at = now + self.app.settings.wikipedia_heartbeat;
                return Some(Ok(self.due(self.slots.first_after(now_ms))));
            }
            // Lines of JSON have no comments.
            if self.form == Form::Events && now >= self.heartbeat_at {
                self.heartbeat_at = now + self.app.settings.wikipedia_heartbeat;
                return Some(Ok(Bytes::from_static(b":heartbeat\n\n")));
            }
            let mut wake = self.ends_at;
            if self.form == Form::Events {
                wake = wake.min(self.heartbeat_at);
            }
            if self.slots.per_s > 0 {
                let ahead = u64::try_from(self.slots.time_ms(self.next) - now_ms).unwrap_or(0);
                wake = wake.min(now + Duration::from_millis(ahead).max(PAUSE_MIN));
            }
            self.wait(wake).await;
        }
    }

    /// The events before number `end`, as many as fit a chunk, or what a fault makes of them.
    fn due(&mut self, end: u64) -> Bytes {
        let mut out = String::with_capacity(CHUNK_BYTES + 4096);
        let Some(script) = self.app.faults.take_for_stream() else {
            self.write_until(end, &mut out);
            return Bytes::from(out);
        };
        self.app.journal.faults.fetch_add(1, Ordering::Relaxed);
        match script.fault {
            Fault::Switched => {
                self.app.switches.switch(self.app.now().timestamp_millis());
                self.write_until(end, &mut out);
                Bytes::from(out)
            }
            Fault::RetryZero => {
                self.state = State::Ended;
                // Lines of JSON have no such field.
                if self.form == Form::Events {
                    out.push_str("retry: 0\n\n");
                }
                self.write_until(end, &mut out);
                Bytes::from(out)
            }
            Fault::EndlessLine => {
                self.state = State::Endless;
                Bytes::from_static(b"data: ")
            }
            Fault::Slow => {
                self.write_until(self.next + 1, &mut out);
                let mut rest = Bytes::from(out);
                let first = rest.split_to(1);
                self.state = State::Slow(rest);
                first
            }
            cut => {
                self.state = match cut {
                    Fault::Truncated => State::Lost,
                    Fault::Stalled => State::Silent,
                    _ => State::Ended,
                };
                self.write(self.next, &mut out);
                // The cut may fall inside a character: sockets know none.
                let whole = Bytes::from(out);
                whole.slice(..whole.len() / 2)
            }
        }
    }

    fn write_until(&mut self, end: u64, out: &mut String) {
        let from = self.next;
        while self.next < end && out.len() < CHUNK_BYTES {
            self.write(self.next, out);
            self.next += 1;
        }
        self.app.journal.events.fetch_add(self.next - from, Ordering::Relaxed);
    }

    /// Each topic is resumed at its own time: the one that rests since a switch repeats its last event.
    fn write_resting(&mut self, out: &mut String) {
        let Some((resting, ms)) = self.positions.resting() else { return };
        let age_ms = self.app.now().timestamp_millis().saturating_sub(ms);
        let kept =
            u128::try_from(age_ms).is_ok_and(|age| age <= self.app.settings.wikipedia_retention.as_millis());
        if !kept || self.app.switches.active(ms) != resting {
            return;
        }
        for n in self.slots.first_at(ms)..self.slots.first_after(ms).min(self.next) {
            self.write(n, out);
        }
    }

    fn write(&mut self, n: u64, out: &mut String) {
        let ms = self.slots.time_ms(n);
        let active = self.app.switches.active(ms);
        let slot = Slot { n, ms, topic: datacentres::topic(active) };
        let data = event::write(self.app.settings.seed, slot, self.slots.per_s);
        if self.form == Form::Lines {
            out.push_str(&data);
            out.push('\n');
            return;
        }
        self.positions.advance(active, ms);
        for part in ["event: message\nid: ", &self.positions.id(), "\ndata: ", &data, "\n\n"] {
            out.push_str(part);
        }
    }

    fn is_over(&self) -> bool {
        self.app.shutdown.is_cancelled() || Instant::now() >= self.ends_at
    }

    async fn wait(&self, until: Instant) {
        tokio::select! {
            () = sleep_until(until) => {}
            () = self.app.shutdown.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use chrono::DateTime;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::Settings;
    use crate::faults::{RECENT_CHANGE, Script};

    const NOON_MS: i64 = 1_767_355_200_000;

    #[tokio::test(start_paused = true)]
    async fn slow_event_comes_whole_in_the_end_and_the_stream_flows_on() {
        let clock = Arc::new(|| DateTime::from_timestamp_millis(NOON_MS).unwrap());
        let app = App::new(Settings::default(), clock, CancellationToken::new());
        let script =
            Script { path: RECENT_CHANGE.to_owned(), fault: Fault::Slow, count: 1, retry_after: None };
        app.faults.add(script).unwrap();
        let slots = Slots { per_s: 25 };
        let first = slots.first_at(NOON_MS - 1000);
        let seat = app.seat(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        let mut feed = Feed::new(app, seat, slots, first, Positions::default(), Form::Events);
        assert_eq!(feed.chunk().await.unwrap().unwrap(), ":ok\n\n");
        let started = Instant::now();
        let mut slow = Vec::new();
        while !slow.ends_with(b"\n\n") {
            let byte = feed.chunk().await.unwrap().unwrap();
            assert_eq!(byte.len(), 1);
            slow.extend_from_slice(&byte);
        }
        assert_eq!(started.elapsed(), BYTE_EVERY * u32::try_from(slow.len() - 1).unwrap());
        let flowing = feed.chunk().await.unwrap().unwrap();
        assert!(slow.starts_with(b"event: message\nid: ") && flowing.starts_with(b"event: message\nid: "));
        assert_eq!(feed.next, slots.first_after(NOON_MS));
    }
}
