//! Amounts and times in words.

use anyhow::{Result, bail};

/// Gwei in an ether.
const ETHER: u64 = 1_000_000_000;

/// Reads an amount of ether with at most nine decimals; gives gwei.
pub fn parse_ether(text: &str) -> Result<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
        bail!("{text} is no amount of ether with at most nine decimals, such as 32 or 0.5");
    }
    let fraction: u64 = format!("{fraction:0<9}").parse()?;
    let amount = whole.parse::<u64>().ok();
    let amount = amount.and_then(|whole| whole.checked_mul(ETHER)?.checked_add(fraction));
    match amount {
        Some(0) => bail!("the amount is 0"),
        Some(gwei) => Ok(gwei),
        None => bail!("{text} ether are more than there are"),
    }
}

/// An amount of gwei as ether.
pub fn ether(gwei: u64) -> String {
    let (whole, rest) = (gwei / ETHER, gwei % ETHER);
    if rest == 0 {
        return format!("{whole} ETH");
    }
    let fraction = format!("{rest:09}");
    format!("{whole}.{} ETH", fraction.trim_end_matches('0'))
}

/// A time with how far it is from `now`, both in seconds since 1970.
pub fn when(time: u64, now: u64) -> String {
    let distance = if time > now {
        format!("in {}", span(time - now))
    } else {
        format!("{} ago", span(now - time))
    };
    format!("{} ({distance})", date(time))
}

/// A length of time by its two largest units.
pub fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, name) in units {
        if rest >= size {
            parts.push(format!("{} {name}", rest / size));
        }
        rest %= size;
    }
    parts.truncate(2);
    if parts.is_empty() {
        return "0 s".to_owned();
    }
    parts.join(" ")
}

/// UTC, from days since 1970 by the calendar of 400 years (Hinnant's `civil_from_days`).
fn date(time: u64) -> String {
    let (days, seconds) = (time / 86_400, time % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ether_is_read_exactly_or_refused() {
        assert_eq!(parse_ether("32").unwrap(), 32 * ETHER);
        assert_eq!(parse_ether("0.000000001").unwrap(), 1);
        assert_eq!(parse_ether("1.5").unwrap(), 1_500_000_000);
        for wrong in ["", "0", "-1", "1e3", ".5", "0.0000000001", "99999999999999"] {
            assert!(parse_ether(wrong).is_err(), "{wrong}");
        }
        assert_eq!(ether(1_500_000_000), "1.5 ETH");
        assert_eq!(ether(32 * ETHER), "32 ETH");
    }

    #[test]
    fn times_are_dates_with_their_distance() {
        assert_eq!(when(0, 0), "1970-01-01 00:00:00 UTC (0 s ago)");
        assert_eq!(
            when(951_827_696, 951_827_696 + 90_061),
            "2000-02-29 12:34:56 UTC (1 d 1 h ago)"
        );
        assert_eq!(
            when(1_796_083_200, 1_796_083_137),
            "2026-12-01 00:00:00 UTC (in 1 min 3 s)"
        );
    }
}
