//! `/proc/PID` -> CPU seconds and peak memory of a process.

use std::fs;
use std::io;

/// Linux counts CPU time for user space in hundredths of a second on every architecture (USER_HZ).
const TICKS_PER_S: f64 = 100.0;

/// User and system time of all threads so far, in seconds.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn cpu_s(pid: u32) -> io::Result<f64> {
    read(&format!("/proc/{pid}/stat"), cpu_of_stat)
}

/// The most memory that the process ever had resident, in MB of 10^6 bytes.
///
/// # Errors
/// As [`cpu_s`].
pub fn peak_rss_mb(pid: u32) -> io::Result<f64> {
    read(&format!("/proc/{pid}/status"), peak_of_status)
}

fn read(path: &str, figure: impl FnOnce(&str) -> Option<f64>) -> io::Result<f64> {
    let strange = |problem: String| io::Error::other(format!("{path}: {problem}"));
    let text = fs::read_to_string(path).map_err(|error| strange(error.to_string()))?;
    figure(&text).ok_or_else(|| strange("the figure is not there".to_owned()))
}

fn peak_of_status(status: &str) -> Option<f64> {
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = kibibytes.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}

fn cpu_of_stat(stat: &str) -> Option<f64> {
    // The name in parentheses may itself have spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_a_name_of_any_shape() {
        let stat = "7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 1";
        assert_eq!(cpu_of_stat(stat), Some(1.75));
        assert_eq!(cpu_of_stat("7 (short) S 1"), None);
    }

    #[test]
    fn peak_memory_is_read_in_kibibytes() {
        assert_eq!(peak_of_status("VmPeak:\t 9 kB\nVmHWM:\t  1000 kB\n"), Some(1.024));
        assert_eq!(peak_of_status("VmPeak:\t 9 kB\n"), None);
    }

    #[test]
    fn this_process_has_used_some_time() {
        let own = std::process::id();
        assert!(cpu_s(own).unwrap() < 1e6);
        assert!(peak_rss_mb(own).unwrap() > 0.5);
    }
}
