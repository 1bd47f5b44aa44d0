//! `servers up`: this command -> a holder process in the background -> Kafka and Cassandra -> their addresses.
//!
//! The holder owns the servers, so that they end with it, and listens on a socket in the cache folder for `status`
//! and `down`. Nothing is stopped by its process id: ids written down in a file may belong to someone else later.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use testbed::{CASSANDRA_VARIABLE, KAFKA_VARIABLE, Options};

const DOWN_WITHIN: Duration = Duration::from_secs(90);
const READY: &str = "ready";

#[derive(Subcommand)]
pub(crate) enum Order {
    /// Start both and print the variables that point tests at them
    Up,
    /// Stop them and remove their data
    Down,
    /// Tell whether they run, and where
    Status,
    /// Own the servers until told otherwise; what `up` leaves in the background
    #[command(hide = true)]
    Hold,
}

pub(crate) fn run(order: &Order) -> Result<()> {
    match order {
        Order::Up => up(),
        Order::Down => down(),
        Order::Status => status(),
        Order::Hold => hold(),
    }
}

fn place(name: &str) -> PathBuf {
    testbed::cache().join(name)
}

/// What the holder answers, or none if there is no holder.
fn ask(word: &str) -> Result<Option<String>> {
    let Ok(mut socket) = UnixStream::connect(place("servers.sock")) else { return Ok(None) };
    socket.set_read_timeout(Some(DOWN_WITHIN))?;
    writeln!(socket, "{word}").context("ask the servers' holder")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).context("read what the servers' holder answers")?;
    Ok(Some(answer))
}

fn up() -> Result<()> {
    if let Some(exports) = ask("status")? {
        eprintln!("the servers are already up");
        print!("{exports}");
        return Ok(());
    }
    let tools = testbed::tools()?;
    eprintln!("starting servers by {tools}");
    testbed::prepare(&tools)?;
    let started = Instant::now();
    let log = place("servers.log");
    let mut holder = Command::new(env::current_exe()?)
        .args(["servers", "hold"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log)?)
        .process_group(0)
        .spawn()
        .context("start the servers' holder")?;
    let output = holder.stdout.take().context("the holder has an output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    if line.trim() != READY {
        let status = holder.wait()?;
        bail!("the servers did not start ({status}):\n{}", fs::read_to_string(&log)?.trim());
    }
    eprintln!("kafka and cassandra answer after {:.1} s", started.elapsed().as_secs_f64());
    print!("{}", ask("status")?.context("the servers' holder ended at once")?);
    Ok(())
}

fn down() -> Result<()> {
    match ask("down")? {
        None => eprintln!("no servers are up"),
        Some(answer) if answer.trim() == "down" => eprintln!("the servers are down"),
        Some(answer) => bail!("the servers' holder did not stop them: {answer:?}"),
    }
    Ok(())
}

fn status() -> Result<()> {
    match ask("status")? {
        Some(exports) => {
            eprintln!("the servers are up; `cassandra`/`cassandra` is the superuser");
            print!("{exports}");
            Ok(())
        }
        None => bail!("no servers are up; `cargo xtask servers up` starts them"),
    }
}

fn hold() -> Result<()> {
    fs::create_dir_all(testbed::cache())?;
    let lock = File::create(place("servers.lock"))?;
    lock.try_lock().context("another holder has the servers")?;
    let (kafka, cassandra) = testbed::pair(Options::default(), Options::default().authentication(true))?;
    let exports = format!(
        "export {KAFKA_VARIABLE}={}\nexport {CASSANDRA_VARIABLE}={}\n",
        kafka.brokers(),
        cassandra.contact_point()
    );
    let (socket, state) = (place("servers.sock"), place("servers.env"));
    // A holder that was killed leaves its socket behind; the lock says that it is gone.
    if socket.exists() {
        fs::remove_file(&socket)?;
    }
    let listener = UnixListener::bind(&socket).with_context(|| format!("bind {}", socket.display()))?;
    fs::write(&state, &exports)?;
    println!("{READY}");
    for connection in listener.incoming() {
        let mut connection = connection?;
        let mut word = String::new();
        BufReader::new(&connection).read_line(&mut word)?;
        if word.trim() == "down" {
            drop((kafka, cassandra));
            fs::remove_file(&state)?;
            fs::remove_file(&socket)?;
            connection.write_all(b"down\n")?;
            return Ok(());
        }
        // Whoever asked may have gone; that is no reason to end the servers.
        let _ = connection.write_all(exports.as_bytes());
    }
    Ok(())
}
