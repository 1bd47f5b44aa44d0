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

use super::event::{self, ACTIVE, IDLE};
use super::slots::Slots;
use crate::app::{App, Seat};
use crate::faults::Fault;
use crate::server::lost;

const CHUNK_BYTES: usize = 32 * 1024;
/// Events of one millisecond travel together rather than one a wake-up.
const PAUSE_MIN: Duration = Duration::from_millis(2);

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
    Silent,
    Lost,
    Ended,
}

pub(super) struct Feed {
    app: Arc<App>,
    slots: Slots,
    next: u64,
    form: Form,
    state: State,
    ends_at: Instant,
    heartbeat_at: Instant,
    _seat: Seat,
}

impl Feed {
    pub(super) fn new(app: Arc<App>, seat: Seat, slots: Slots, first: u64, form: Form) -> Self {
        let now = Instant::now();
        let (session, heartbeat) = (app.settings.wikipedia_session, app.settings.wikipedia_heartbeat);
        let state = if form == Form::Events { State::Greeting } else { State::Flowing };
        Self {
            app,
            slots,
            next: first,
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
        match self.state {
            State::Greeting => {
                self.state = State::Flowing;
                Some(Ok(Bytes::from_static(b":ok\n\n")))
            }
            State::Flowing => self.flow().await,
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
            let now = Instant::now();
            if self.app.shutdown.is_cancelled() || now >= self.ends_at {
                return None;
            }
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

    /// The events before number `end`, as many as fit a chunk, or what a fault leaves of the next.
    fn due(&mut self, end: u64) -> Bytes {
        let mut out = String::with_capacity(CHUNK_BYTES + 4096);
        if let Some(script) = self.app.faults.take_for_stream() {
            self.app.journal.faults.fetch_add(1, Ordering::Relaxed);
            self.state = match script.fault {
                Fault::Truncated => State::Lost,
                Fault::Stalled => State::Silent,
                _ => State::Ended,
            };
            self.write(&mut out);
            // The cut may fall inside a character: sockets know none.
            let whole = Bytes::from(out);
            return whole.slice(..whole.len() / 2);
        }
        let from = self.next;
        while self.next < end && out.len() < CHUNK_BYTES {
            self.write(&mut out);
            self.next += 1;
        }
        self.app.journal.events.fetch_add(self.next - from, Ordering::Relaxed);
        Bytes::from(out)
    }

    fn write(&self, out: &mut String) {
        let ms = self.slots.time_ms(self.next);
        let data = event::write(self.app.settings.seed, self.next, ms, self.slots.per_s);
        if self.form == Form::Lines {
            out.push_str(&data);
            out.push('\n');
            return;
        }
        let id = format!(
            r#"[{{"topic":"{IDLE}","partition":0,"offset":-1}},{{"topic":"{ACTIVE}","partition":0,"timestamp":{ms}}}]"#
        );
        for part in ["event: message\nid: ", &id, "\ndata: ", &data, "\n\n"] {
            out.push_str(part);
        }
    }

    async fn wait(&self, until: Instant) {
        tokio::select! {
            () = sleep_until(until) => {}
            () = self.app.shutdown.cancelled() => {}
        }
    }
}
