//! One child process that cannot outlive us: owner -> pipe -> supervising shell -> child.
//!
//! The shell reads words from the pipe: the name of a signal goes to the child. When the pipe ends, because we
//! closed it or because we are gone (also by SIGKILL), the shell kills the child, cleans up and ends with the
//! child's status. The child in turn holds the write end of a second pipe, whose end tells us that it has died.
//! Only the shell ever signals, and only its own unreaped child: no process id is used that could be another's. Where the
//! child is the Docker client in front of a container, the engine signals, by the container's name, and the shell removes it.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::docker::Container;

// $1: a folder to remove at the end, $2 and $3: the Docker client and a container to remove; each may be empty.
const SUPERVISOR: &str = r#"
folder=$1 docker=$2 container=$3; shift 3
"$@" </dev/null 3>&1 1>&2 &
child=$!
trap '' HUP INT QUIT PIPE TERM
echo "$child"
exec 1>&2
leave=
while read -r word; do
  case $word in
    leave) leave=yes ;;
    *) kill -s "$word" "$child" ;;
  esac
done
kill -s KILL "$child" 2>/dev/null
wait "$child" 2>/dev/null
status=$?
if [ -z "$leave" ]; then
  [ -z "$container" ] || "$docker" rm --force --volumes "$container" >/dev/null 2>&1
  [ -z "$folder" ] || rm -rf -- "$folder"
fi
exit "$status"
"#;

/// What the shell removes when the owner ends without having said `leave`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leftovers {
    pub(crate) folder: Option<PathBuf>,
    /// The container that the child is the client in front of.
    pub(crate) container: Option<Container>,
}

#[derive(Debug)]
pub(crate) struct Supervised {
    shell: Child,
    orders: Option<ChildStdin>,
    pid: u32,
    container: Option<Container>,
    ended: Arc<(Mutex<bool>, Condvar)>,
}

impl Supervised {
    /// Starts `program` with `arguments`; `configure` sets folder and environment, both outputs are appended to `log`.
    pub(crate) fn spawn(
        program: &Path,
        arguments: &[OsString],
        log: &Path,
        leftovers: &Leftovers,
        configure: impl FnOnce(&mut Command),
    ) -> io::Result<Supervised> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let container = leftovers.container.clone();
        let (docker, name) =
            container.as_ref().map_or((Path::new(""), ""), |container| (&container.docker, &container.name));
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SUPERVISOR, "supervisor"]);
        command.arg(leftovers.folder.clone().unwrap_or_default()).arg(docker).arg(name);
        command.arg(program).args(arguments);
        configure(&mut command);
        // A group of its own: Ctrl-C in a terminal reaches us, and the end of our pipe reaches the shell.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut shell = command.spawn()?;
        let orders = shell.stdin.take();
        let output = shell.stdout.take().ok_or_else(|| io::Error::other("the supervisor has no output"))?;
        let mut output = BufReader::new(output);
        let mut first = String::new();
        output.read_line(&mut first)?;
        let pid = first
            .trim()
            .parse()
            .map_err(|_| io::Error::other(format!("the supervisor started no child: {first:?}")))?;
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let signal_end = Arc::clone(&ended);
        thread::spawn(move || {
            // Nothing is written: this returns when the child, the last holder, is gone.
            let _ = output.read_to_end(&mut Vec::new());
            *signal_end.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            signal_end.1.notify_all();
        });
        Ok(Supervised { shell, orders, pid, container, ended })
    }

    /// The child's process id; of a container that of its first process, while there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.container.as_ref().map_or(Some(self.pid), Container::pid)
    }

    pub(crate) fn is_running(&self) -> bool {
        !*self.ended.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a signal by its name without `SIG`. Nothing happens when the child has ended.
    ///
    /// # Panics
    /// When a container that runs cannot be paused: a test would go on as if it were.
    pub(crate) fn signal(&mut self, name: &str) {
        // The client in front of a container passes no SIGKILL and no SIGSTOP on; the engine is asked instead.
        match self.container.as_ref().map(|container| container.signal(name)) {
            None => self.order(name),
            Some(Err(error)) if name == "STOP" && self.is_running() => panic!("{error}"),
            Some(_) => {}
        }
    }

    /// Whether the child ended within `timeout`.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let ended = self.ended.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ended, _) = self
            .ended
            .1
            .wait_timeout_while(ended, timeout, |ended| !*ended)
            .unwrap_or_else(PoisonError::into_inner);
        *ended
    }

    /// Kills the child if it still runs and returns its status: an exit code, or 128 + the signal's number.
    /// The leftovers stay: the child is to be started again.
    pub(crate) fn leave(mut self) -> i32 {
        self.order("leave");
        self.finish()
    }

    /// As [`Supervised::leave`], for a child that is not to be started again: the leftovers are removed.
    pub(crate) fn end(mut self) -> i32 {
        self.finish()
    }

    fn order(&mut self, word: &str) {
        if let Some(orders) = &mut self.orders {
            // A supervisor that is gone has nothing left to signal.
            let _ = orders.write_all(format!("{word}\n").as_bytes());
        }
    }

    fn finish(&mut self) -> i32 {
        self.orders = None;
        self.shell.wait().ok().and_then(|status| status.code()).unwrap_or(-1)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_for;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn sh(script: &str, folder: &Path, leftovers: &Leftovers) -> Supervised {
        let arguments = ["-c".into(), script.into()];
        Supervised::spawn(Path::new("/bin/sh"), &arguments, &folder.join("log"), leftovers, |_| ()).unwrap()
    }

    fn is_alive(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn a_child_that_ends_by_itself_is_noticed_with_its_status() {
        let folder = tempfile::tempdir().unwrap();
        let child = sh("echo out; echo err >&2; exit 7", folder.path(), &Leftovers::default());
        assert!(child.wait(Duration::from_secs(10)));
        assert!(!child.is_running());
        assert_eq!(child.leave(), 7);
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(log, "out\nerr\n");
    }

    #[test]
    fn a_signal_reaches_the_child_and_shows_in_its_status() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = sh("exec tail -f /dev/null", folder.path(), &Leftovers::default());
        assert!(child.is_running());
        child.signal("TERM");
        assert!(child.wait(Duration::from_secs(10)));
        assert_eq!(child.leave(), 128 + 15);
    }

    #[test]
    fn a_child_deaf_to_signals_dies_when_the_pipe_of_its_owner_ends() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap '' HUP INT TERM; echo up; exec tail -f /dev/null";
        let child = sh(script, folder.path(), &Leftovers::default());
        let log = folder.path().join("log");
        wait_for("the child to be deaf", Duration::from_secs(10), || {
            fs::read_to_string(&log).is_ok_and(|text| text == "up\n").then_some(())
        });
        let pid = child.pid().unwrap();
        drop(child);
        assert!(!is_alive(pid));
    }

    #[test]
    fn a_stopped_child_is_killed_with_its_owner_and_its_folder_removed() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("it's data");
        fs::create_dir(&data).unwrap();
        let leftovers = Leftovers { folder: Some(data.clone()), container: None };
        let mut child = sh("exec tail -f /dev/null", folder.path(), &leftovers);
        let pid = child.pid().unwrap();
        child.signal("STOP");
        drop(child);
        assert!(!is_alive(pid));
        assert!(!data.exists());
    }

    #[test]
    fn a_container_is_struck_by_the_engine_and_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        // In place of the Docker client: notes what it is told, and answers as if asked for a process id.
        let (docker, told) = (folder.path().join("docker"), folder.path().join("told"));
        fs::write(&docker, format!("#!/bin/sh\necho \"$@\" >>'{}'\necho 4711\n", told.display())).unwrap();
        fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
        let container = Some(Container { docker, name: "ours".to_owned() });
        let mut child = sh("exec tail -f /dev/null", folder.path(), &Leftovers { folder: None, container });
        assert_eq!(child.pid(), Some(4711));
        for signal in ["STOP", "CONT", "KILL"] {
            child.signal(signal);
        }
        assert_eq!(child.end(), 128 + 9);
        let told = fs::read_to_string(told).unwrap();
        let expected = [
            "container inspect --format {{.State.Pid}} ours",
            "pause ours",
            "unpause ours",
            "kill --signal KILL ours",
            "rm --force --volumes ours",
        ];
        assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_child_that_is_left_keeps_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let leftovers = Leftovers { folder: Some(data.clone()), container: None };
        let child = sh("exec tail -f /dev/null", folder.path(), &leftovers);
        assert_eq!(child.leave(), 128 + 9);
        assert!(data.exists());
    }
}
