//! What a process has used, from Linux's `/proc` (proc(5)).

/// Processor time and memory of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Processor time of all its threads since it started, user and system, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory now, in bytes.
    pub resident_bytes: u64,
    /// Largest resident memory so far, in bytes.
    pub peak_resident_bytes: u64,
}

impl Usage {
    /// Usage of a process; `None` on systems without `/proc`, or when there is no such process.
    #[cfg(target_os = "linux")]
    pub fn of(pid: u32) -> Option<Self> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
        let status = read("status")?;
        let ticks = rustix::param::clock_ticks_per_second();
        Some(Self {
            cpu_seconds: cpu_ticks(&read("stat")?)? as f64 / ticks as f64,
            resident_bytes: status_bytes(&status, "VmRSS:")?,
            peak_resident_bytes: status_bytes(&status, "VmHWM:")?,
        })
    }

    /// Usage of a process; `None` on systems without `/proc`, or when there is no such process.
    #[cfg(not(target_os = "linux"))]
    pub fn of(_pid: u32) -> Option<Self> {
        None
    }
}

/// `utime + stime`, fields 14 and 15 of `/proc/PID/stat`. Field 2, the name, may hold anything,
/// so fields are counted from its last parenthesis.
#[cfg(any(target_os = "linux", test))]
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

/// A field of `/proc/PID/status`, given in kB.
#[cfg(any(target_os = "linux", test))]
fn status_bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 350 25 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(375));
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t     512 kB\n";
        assert_eq!(status_bytes(status, "VmHWM:"), Some(2 << 20));
        assert_eq!(status_bytes(status, "VmRSS:"), Some(512 << 10));
    }

    #[test]
    fn rejects_text_without_the_fields() {
        assert_eq!(cpu_ticks("42 (a) S 1 2"), None);
        assert_eq!(status_bytes("Name:\tx\n", "VmRSS:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn own_usage_grows_with_work() {
        let before = Usage::of(std::process::id()).unwrap();
        let block = vec![1_u8; 64 << 20];
        let start = std::time::Instant::now();
        let mut sum = 0_u64;
        while start.elapsed().as_millis() < 200 {
            sum += std::hint::black_box(&block).iter().map(|b| u64::from(*b)).sum::<u64>();
        }
        assert!(sum > 0);
        let after = Usage::of(std::process::id()).unwrap();
        assert!(after.cpu_seconds >= before.cpu_seconds + 0.05);
        assert!(after.peak_resident_bytes >= before.resident_bytes + (32 << 20));
        assert!(after.peak_resident_bytes >= after.resident_bytes);
    }
}
