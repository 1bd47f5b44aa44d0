//! `tributary completions`: the command line as it is defined -> a script that lets a shell complete it.

use clap::{CommandFactory, ValueEnum};
use clap_complete::{aot, generate};

use crate::print::raw;

const EXAMPLES: &str = "\
Examples:
  tributary completions bash > ~/.local/share/bash-completion/completions/tributary
  tributary completions zsh > ~/.zfunc/_tributary
  tributary completions fish > ~/.config/fish/completions/tributary.fish";

const INSTALL: &str = "\
The examples install it: bash (with its package bash-completion) and fish find the file by themselves in the next shell.
For zsh, ~/.zshrc must have fpath=(~/.zfunc $fpath) before compinit.";

/// Arguments of `tributary completions`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = INSTALL)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script, and returns the exit code.
///
/// # Errors
/// Nobody reads the output.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<i32> {
    raw(&script(arguments.shell))?;
    Ok(0)
}

fn script(shell: Shell) -> Vec<u8> {
    let mut command = crate::Arguments::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    match shell {
        Shell::Bash => generate(aot::Bash, &mut command, name, &mut script),
        Shell::Zsh => generate(aot::Zsh, &mut command, name, &mut script),
        Shell::Fish => generate(aot::Fish, &mut command, name, &mut script),
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_script_names_every_subcommand() {
        let command = crate::Arguments::command();
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).unwrap();
            for subcommand in command.get_subcommands() {
                let name = subcommand.get_name();
                let named =
                    script.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == name);
                assert!(named, "{shell:?} does not know {name}");
            }
        }
    }
}
