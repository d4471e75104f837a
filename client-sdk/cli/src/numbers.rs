//! Numbers as people read them.

use std::time::{Duration, SystemTime};

use indicatif::{DecimalBytes, HumanDuration};
use sphinx_client::Traffic;

/// 93.57 %
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// 1 min 52 s
pub fn seconds(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    HumanDuration(Duration::from_secs_f64(seconds)).to_string()
}

/// 54.1 kB up, 41.0 kB down per image
pub fn per_image(traffic: Traffic, images: u64) -> String {
    let share = |bytes: u64| DecimalBytes(bytes / images.max(1)).to_string();
    format!("{} up, {} down per image", share(traffic.up), share(traffic.down))
}

/// 2026-01-31T12:00:00Z
pub fn time(unix_seconds: i64) -> String {
    let seconds = Duration::from_secs(u64::try_from(unix_seconds).unwrap_or_default());
    match SystemTime::UNIX_EPOCH.checked_add(seconds) {
        Some(time) => humantime::format_rfc3339_seconds(time).to_string(),
        None => "-".to_owned(),
    }
}
