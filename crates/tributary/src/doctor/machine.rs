//! This machine -> whether there is memory and disk enough.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use super::finding::Finding;

/// What Kafka, Cassandra and the services want together (docker-compose.yml).
const MEMORY_MIN: u64 = 4_000_000_000;
const FREE_MIN: u64 = 2_000_000_000;
const FREE_PERCENT_MIN: u64 = 5;
const CGROUPS: &str = "/sys/fs/cgroup";

/// What was seen of it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Bytes of the machine.
    memory: Option<u64>,
    /// Bytes that this process and its neighbours in the container may have.
    limit: Option<u64>,
    disks: Vec<Disk>,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Disk {
    /// A folder on it.
    path: PathBuf,
    id: u64,
    free: u64,
    total: u64,
}

/// Looks; `folders` are those that grow. Blocks, on a file system that hangs for ever.
pub(super) fn observe(folders: &[PathBuf]) -> Seen {
    let cgroup = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits =
        groups(&cgroup).into_iter().filter_map(|folder| read_to_string(folder.join("memory.max")).ok());
    let mut disks: Vec<Disk> = Vec::new();
    for disk in folders.iter().filter_map(|folder| disk(folder)) {
        if disks.iter().all(|known| known.id != disk.id) {
            disks.push(disk);
        }
    }
    Seen {
        memory: read_to_string("/proc/meminfo").ok().and_then(|text| total(&text)),
        // A group may have what each of those around it has.
        limit: limits.filter_map(|text| text.trim().parse().ok()).min(),
        disks,
    }
}

// `MemTotal:        3911888 kB` -> bytes
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

// `0::/a/b` of cgroup v2 -> its folder and those around it.
fn groups(cgroup: &str) -> Vec<PathBuf> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let inner = Path::new(CGROUPS).join(path);
    inner.ancestors().take_while(|folder| folder.starts_with(CGROUPS)).map(Path::to_owned).collect()
}

// Where the folder does not exist yet, that of the nearest one around it.
fn disk(folder: &Path) -> Option<Disk> {
    let path = std::path::absolute(folder).ok()?;
    let path = path.ancestors().find(|path| path.exists())?.to_owned();
    let stat = rustix::fs::statvfs(&path).ok()?;
    let (free, total) = (stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize);
    Some(Disk { path, id: stat.f_fsid, free, total })
}

impl Seen {
    /// What is too little. Where the servers are elsewhere, as seen from a container of ours, its limit is its own matter.
    pub(super) fn judge(&self, servers_here: bool) -> Vec<Finding> {
        let limit = self.limit.filter(|_| servers_here);
        let mut findings = vec![judge_memory(self.memory, limit)];
        findings.extend(self.disks.iter().map(judge_disk));
        findings
    }
}

fn judge_memory(machine: Option<u64>, limit: Option<u64>) -> Finding {
    let what = "memory";
    let Some(machine) = machine else { return Finding::not_checked(what, "/proc/meminfo tells nothing") };
    let (bytes, of) = match limit.filter(|limit| *limit < machine) {
        Some(limit) => (limit, "may be used here (memory.max of the cgroup)"),
        None => (machine, "in this machine"),
    };
    let says = format!("{} {of}", gigabytes(bytes));
    if bytes >= MEMORY_MIN {
        return Finding::ok(what, says);
    }
    Finding::warning(
        what,
        format!("{says}; Kafka, Cassandra and the services together want {}", gigabytes(MEMORY_MIN)),
        "give Docker or the machine more, or lower CASSANDRA_HEAP and KAFKA_HEAP in .env; if the servers are elsewhere, it is \
         enough",
    )
}

fn judge_disk(disk: &Disk) -> Finding {
    let Disk { path, free, total, .. } = disk;
    let what = format!("disk of {}", path.display());
    let percent = free * 100 / (*total).max(1);
    let says = format!("{} of {} are free ({percent} %)", gigabytes(*free), gigabytes(*total));
    if *free >= FREE_MIN && percent >= FREE_PERCENT_MIN {
        return Finding::ok(what, says);
    }
    let says = format!("{says}, less than {} or {FREE_PERCENT_MIN} %", gigabytes(FREE_MIN));
    Finding::warning(
        what,
        says,
        "free space there, or point consumer.csv_dir and the servers' data to another disk",
    )
}

fn gigabytes(bytes: u64) -> String {
    format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10)
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn too_little_memory_is_told_with_figures_whoever_sets_the_limit() {
        assert_eq!(judge_memory(Some(8_000_000_000), None).state, State::Ok);
        let machine = judge_memory(Some(3_700_000_000), Some(9_000_000_000));
        assert_eq!(machine.state, State::Warning);
        assert!(
            machine.says.contains("3.7 GB in this machine") && machine.says.contains("4.0 GB"),
            "{machine:?}"
        );
        let group = judge_memory(Some(16_000_000_000), Some(1_073_741_824));
        assert!(group.state == State::Warning && group.says.contains("1.0 GB may be used here"), "{group:?}");
        assert_eq!(judge_memory(None, None).state, State::NotChecked);
        let container = Seen { memory: Some(16_000_000_000), limit: Some(268_435_456), disks: Vec::new() };
        assert_eq!([true, false].map(|here| container.judge(here)[0].state), [State::Warning, State::Ok]);
    }

    #[test]
    fn too_little_disk_is_told_in_bytes_or_in_percent() {
        let disk = |free, total| judge_disk(&Disk { path: "/csv".into(), id: 1, free, total });
        assert_eq!(disk(2_000_000_000, 10_000_000_000).state, State::Ok);
        assert_eq!(disk(1_900_000_000, 10_000_000_000).state, State::Warning);
        let small_share = disk(40_000_000_000, 1_000_000_000_000);
        assert_eq!((small_share.state, small_share.what.as_str()), (State::Warning, "disk of /csv"));
        assert!(
            small_share.says.contains("40.0 GB of 1000.0 GB") && small_share.says.contains("4 %"),
            "{small_share:?}"
        );
        assert_eq!(disk(0, 0).state, State::Warning);
    }

    #[test]
    fn what_the_kernel_tells_is_read() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:        3911888 kB\n"), Some(3_911_888 << 10));
        assert_eq!(total("nothing"), None);
        let folders = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(
            groups("1:name=systemd:/x\n0::/a/b\n"),
            folders(&["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"])
        );
        assert_eq!(groups("0::/\n"), folders(&["/sys/fs/cgroup"]));
    }

    #[test]
    fn a_folder_that_does_not_exist_yet_is_on_the_disk_of_the_one_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let both = observe(&[folder.path().join("csv/deep"), folder.path().to_owned()]);
        assert_eq!(both.disks.len(), 1, "one file system: {both:?}");
        assert_eq!(both.disks[0].path, std::path::absolute(folder.path()).unwrap());
        assert!(both.disks[0].total > 0);
    }
}
