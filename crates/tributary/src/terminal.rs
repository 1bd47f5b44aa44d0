//! The terminal: its size, and a screen of its own, which is given back however the process ends.

use std::io::{IsTerminal, stdout};
use std::os::fd::AsFd;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::print::raw;

const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";

/// What ends something that was cut.
const CUT: char = '…';

static IS_ENTERED: AtomicBool = AtomicBool::new(false);

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// The size of the terminal that standard output is; none where it goes elsewhere.
pub(crate) fn size() -> Option<Size> {
    let out = stdout();
    let size = out.is_terminal().then(|| rustix::termios::tcgetwinsize(out))?.ok()?;
    let (columns, rows) = (usize::from(size.ws_col), usize::from(size.ws_row));
    (columns > 0 && rows > 0).then_some(Size { columns, rows })
}

/// Cut to columns. What may be wide is counted as wide, so that a line is rather too short than too long.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    let width = |c: char| if c < '\u{1100}' || c == CUT { 1 } else { 2 };
    if text.chars().map(width).sum::<usize>() <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let kept = text.chars().take_while(|c| {
        let fits = width(*c) <= left;
        left = left.saturating_sub(width(*c));
        fits
    });
    kept.chain(std::iter::once(CUT)).collect()
}

/// What was on the terminal before comes back when this is dropped, or by [`restore`].
pub(crate) struct AlternateScreen;

impl AlternateScreen {
    /// Begins.
    ///
    /// # Errors
    /// It cannot be written to.
    pub(crate) fn enter() -> anyhow::Result<Self> {
        static HOOK: Once = Once::new();
        // A panic ends the process without a drop.
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                told(panic);
            }));
        });
        IS_ENTERED.store(true, Ordering::SeqCst);
        raw(ENTER)?;
        Ok(Self)
    }
}

impl Drop for AlternateScreen {
    fn drop(&mut self) {
        restore();
    }
}

/// Leaves the screen, if it was entered: before the process ends without a drop.
pub(crate) fn restore() {
    if IS_ENTERED.swap(false, Ordering::SeqCst) {
        // Past the lock of standard output, which may be held just now; and nobody can be told of an error any more.
        let _ = rustix::io::write(stdout().as_fd(), LEAVE);
    }
}
