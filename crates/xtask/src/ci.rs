//! What a change must pass, in the order of what fails fastest.

use anyhow::Result;

use crate::test::{self, Tier};
use crate::{chaos, step};

pub(crate) fn run() -> Result<()> {
    step::cargo(&["fmt", "--all", "--check"])?;
    step::cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])?;
    test::run(None)?;
    test::run(Some(Tier::Browser))?;
    chaos::run(&chaos::Arguments::short())?;
    test::run(Some(Tier::Compose))
}
