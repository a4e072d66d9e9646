//! Why something failed, as it is stored for people.
//!
//! Owns which texts can be stored. The reasons stand in the notes of `parking.rs` and in the records of
//! `position_stream.rs`.

/// How many bytes of a reason are stored at most.
const LONGEST: usize = 4096;

/// What stands at the end of a reason that is cut off.
const MORE: &str = "…";

/// A reason as it is stored with a parked message or with progress: at most 4,096 bytes, cut off at the
/// border of a character and with an ellipsis at its end where it is longer; a NUL, which no store of
/// JSON holds, comes as U+FFFD.
///
/// # Examples
///
/// ```
/// use evenfold_core::store::stored_reason;
///
/// assert_eq!(stored_reason("no luck"), "no luck");
/// assert_eq!(stored_reason("bad byte \0"), "bad byte \u{FFFD}");
/// let long = stored_reason(&"a".repeat(10_000));
/// assert_eq!(long.len(), 4096);
/// assert!(long.ends_with("a…"));
/// ```
pub fn stored_reason(reason: &str) -> String {
    let clean = |text: &str| text.replace('\0', "\u{FFFD}");
    // A NUL takes more room when it is replaced, so what is left is looked at, and not what was given.
    let start = &reason[..reason.floor_char_boundary(LONGEST + 1)];
    let mut stored = clean(start);
    if stored.len() > LONGEST || start.len() < reason.len() {
        let room = LONGEST - MORE.len();
        stored.truncate(stored.floor_char_boundary(room));
        stored.push_str(MORE);
    }
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_off_at_the_border_of_a_character_and_its_nuls_are_replaced() {
        for text in ["a", "ü", "語", "🦀", "\0", "a\0🦀"] {
            for times in [1, 1000, 1365, 1366, 2048, 4096, 4097, 9000] {
                let reason = text.repeat(times);
                let stored = stored_reason(&reason);
                assert!(stored.len() <= LONGEST && !stored.contains('\0'), "{text:?} {times}");
                let whole = reason.replace('\0', "\u{FFFD}");
                let start = stored.strip_suffix(MORE).unwrap_or(&stored);
                assert!(whole.starts_with(start), "{text:?} {times}");
                let is_whole = start.len() == whole.len();
                assert_eq!(is_whole, whole.len() <= LONGEST, "{text:?} {times}");
                assert!(is_whole || stored.len() > LONGEST - 8, "{text:?} {times}");
                assert_eq!(stored_reason(&stored), stored, "twice is as once");
            }
        }
    }
}
