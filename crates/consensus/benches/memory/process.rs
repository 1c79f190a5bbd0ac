//! What the operating system says about a process and a directory.

use std::{fs, path::Path};

/// Resident bytes of a process.
pub fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.trim().parse::<u64>().ok())
        .expect("Linux says how much is resident")
        << 10
}

/// Files that a process has open.
pub fn open_files(id: u32) -> usize {
    let open = fs::read_dir(format!("/proc/{id}/fd")).expect("the process runs");
    open.count()
}

/// Bytes that a directory takes on disk. Files may go while they are counted.
pub fn on_disk(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    let mut bytes = 0;
    for entry in entries.flatten() {
        match entry.metadata() {
            Ok(found) if found.is_dir() => bytes += on_disk(&entry.path()),
            Ok(found) => bytes += 512 * found.blocks(),
            Err(_) => {}
        }
    }
    bytes
}
