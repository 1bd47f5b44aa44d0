//! SIGINT and SIGTERM -> the end of a command: at once, or as the command has it.
//!
//! Listened to in one place and for every command: as the first process of a container it would not be ended by a signal that
//! nobody handles.

use std::sync::OnceLock;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::terminal;

/// What a shell reports of a process that SIGINT or SIGTERM has ended.
const INTERRUPTED: i32 = 130;
const TERMINATED: i32 = 143;

static STOP: OnceLock<CancellationToken> = OnceLock::new();

/// Listens from now on. A task of its own: a command may block its own, at a question for instance.
///
/// # Errors
/// The handlers cannot be installed.
pub(crate) fn begin() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("handle SIGINT")?;
    tokio::spawn(async move {
        let mut code = next(&mut terminate, &mut interrupt).await;
        if let Some(stop) = STOP.get() {
            stop.cancel();
            code = next(&mut terminate, &mut interrupt).await;
        }
        terminal::restore();
        std::process::exit(code)
    });
    Ok(())
}

/// For a command that has something to do at its end: the first signal cancels this token instead of ending the process; the
/// second one ends it.
pub(crate) fn stop() -> CancellationToken {
    STOP.get_or_init(CancellationToken::new).clone()
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> i32 {
    tokio::select! {
        _ = terminate.recv() => TERMINATED,
        _ = interrupt.recv() => INTERRUPTED,
    }
}
