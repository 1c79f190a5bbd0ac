use super::*;
use crate::batch::{NAMESPACES_MAX, TICKETS_MAX};

const BEACON: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// A good file, one field per line: name, n, beacon, reserve, bundles, tickets, slots.
fn fields() -> [String; 7] {
    [
        "\"name\": \"t\"".into(),
        "\"n\": 3".into(),
        format!("\"beacon\": \"{BEACON}\""),
        "\"reserve\": [1, 2, 18446744073709551615]".into(),
        "\"bundles\": [[0],\n[0, 2]]".into(),
        "\"tickets\": [[1, 5, 0, 10],\n[2, 5, 1, 18446744073709551615]]".into(),
        "\"slots\": [{\"slot\": 7, \"seed\": \"whatever\"}]".into(),
    ]
}

fn text(fields: &[String]) -> String {
    format!("{{\n{}\n}}", fields.join(",\n"))
}

/// Line and reason of the refusal of the good file with one field replaced, in the usual order
/// and with the fields in reverse.
fn refusal(field: usize, value: &str) -> (usize, String) {
    let mut fields = fields();
    let name = fields[field].split(':').next().unwrap().to_owned();
    fields[field] = format!("{name}: {value}");
    let at = |error| match error {
        FileError::At { line, reason, .. } => (line, reason),
        FileError::TooLong => panic!("too long"),
    };
    let forward = at(parse(text(&fields).as_bytes()).unwrap_err());
    let backward: Vec<String> = fields.iter().rev().cloned().collect();
    let (line, reason) = at(parse(text(&backward).as_bytes()).unwrap_err());
    assert_eq!(
        reason, forward.1,
        "the order of fields changes what is wrong"
    );
    let lines = |fields: &[String]| -> usize { fields.iter().map(|f| f.lines().count()).sum() };
    let offset = lines(&fields[..field]);
    let offset_backward = lines(&backward[..6 - field]);
    assert_eq!(
        line - offset_backward,
        forward.0 - offset,
        "the line is lost in reverse order"
    );
    (forward.0 - offset - 1, forward.1)
}

#[test]
fn a_good_file_is_read_exactly_in_any_order_of_fields() {
    let parsed = parse(text(&fields()).as_bytes()).unwrap();
    let [instance] = parsed.as_slice() else {
        panic!()
    };
    assert_eq!(instance.name, "t");
    assert_eq!(instance.slots, [7]);
    assert_eq!(instance.batch.reserves()[2].get(), u64::MAX);
    assert_eq!(instance.batch.tickets()[1].stake.get(), u64::MAX);
    let mut backward = fields();
    backward.reverse();
    assert_eq!(parse(text(&backward).as_bytes()).as_ref(), Ok(&parsed));
    assert_eq!(parse(write(&parsed).as_bytes()).as_ref(), Ok(&parsed));
}

#[test]
fn an_array_stays_an_array_even_if_empty() {
    assert_eq!(parse(b"[]"), Ok(OneOrMany::Many(Vec::new())));
    let file = format!("[{}]", text(&fields()));
    let parsed = parse(file.as_bytes()).unwrap();
    assert!(parsed.is_many());
    assert_eq!(parse(write(&parsed).as_bytes()).as_ref(), Ok(&parsed));
}

#[test]
fn every_fault_is_named_with_its_line_and_value() {
    let cases: [(usize, &str, usize, &str); 27] = [
        (1, "0", 1, "0 namespaces"),
        (1, "4", 3, "reserve has 3 prices for n = 4"),
        (1, "1048577", 1, "1048577 namespaces"),
        (1, "-1", 1, "`-1`"),
        (1, "3.0", 1, "`3.0`"),
        (2, "\"1111\"", 1, "4 characters"),
        (
            2,
            "\"zz11111111111111111111111111111111111111111111111111111111111111\"",
            1,
            "'z'",
        ),
        (2, "7", 1, "`7`"),
        (3, "[1, 2]", 1, "reserve has 2 prices for n = 3"),
        (
            3,
            "[1, 2, 18446744073709551616]",
            1,
            "1.8446744073709552e+19",
        ),
        (3, "[1, 2, \"3\"]", 1, "\"3\""),
        (4, "[[0],\n[]]", 2, "bundle 1 has 0 members"),
        (4, "[[0],\n[2, 0]]", 2, "bundle 1: member 0 follows 2"),
        (4, "[[0],\n[2, 2]]", 2, "bundle 1: member 2 follows 2"),
        (4, "[[0],\n[0, 3]]", 2, "bundle 1: member 3 is unknown"),
        (4, "[[0],\n[4294967296]]", 2, "member 4294967296"),
        (
            5,
            "[[1, 5, 0, 10],\n[2, 5, 2, 10]]",
            2,
            "ticket 2: bundle index 2 is unknown",
        ),
        (
            5,
            "[[1, 5, 0, 10],\n[2, 5, 4294967296, 10]]",
            2,
            "bundle index 4294967296",
        ),
        (
            5,
            "[[1, 5, 0, 10],\n[2, 5, 1, 0]]",
            2,
            "ticket 2 has stake 0",
        ),
        (
            5,
            "[[1, 5, 0, 10],\n[9, 5, 0, 10],\n[1, 5, 0, 10]]",
            3,
            "ticket id 1 appears twice",
        ),
        (5, "[[1, 5, 0]]", 1, "length 3"),
        (5, "[[1, 5, 0, 10, 10]]", 1, "length 5"),
        (5, "[[1, 5, 0, 1e3]]", 1, "1000.0"),
        (
            5,
            "[[1, 5, 0, 18446744073709551616]]",
            1,
            "1.8446744073709552e+19",
        ),
        (6, "[{\"slot\": -7}]", 1, "`-7`"),
        (6, "[{}]", 1, "`slot`"),
        (0, "5", 1, "`5`"),
    ];
    for (field, value, line, reason) in cases {
        let (found_line, found) = match field {
            // The count of namespaces is judged against the prices, wherever they stand.
            1 if line == 3 => {
                let mut fields = fields();
                fields[1] = format!("\"n\": {value}");
                match parse(text(&fields).as_bytes()).unwrap_err() {
                    FileError::At { line, reason, .. } => (line - 2, reason),
                    FileError::TooLong => panic!(),
                }
            }
            _ => refusal(field, value),
        };
        assert!(
            found.contains(reason),
            "{value}: {found:?} does not say {reason:?}"
        );
        assert_eq!(found_line, line, "{value}: {found}");
    }
}

#[test]
fn bundles_end_at_256_members() {
    let list = |len: usize| {
        (0..len)
            .map(|i| i.to_string())
            .collect::<Vec<_>>()
            .join(",")
    };
    let file = |len| {
        let mut fields = fields();
        fields[1] = "\"n\": 300".into();
        fields[3] = format!("\"reserve\": [{}]", list(300));
        fields[4] = format!("\"bundles\": [[0],\n[{}]]", list(len));
        parse(text(&fields).as_bytes())
    };
    assert!(file(256).is_ok());
    let error = file(257).unwrap_err().to_string();
    assert!(
        error.contains("bundle 1 has 257 members") && error.contains("line 7"),
        "{error}"
    );
}

#[test]
fn missing_and_doubled_fields_are_named() {
    for missing in 0..7 {
        let mut fields = fields().to_vec();
        let name = fields.remove(missing).split('"').nth(1).unwrap().to_owned();
        let error = parse(text(&fields).as_bytes()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("missing field `{name}`")),
            "{error}"
        );
    }
    for double in 0..7 {
        let mut fields = fields().to_vec();
        fields.push(fields[double].clone());
        let error = parse(text(&fields).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("duplicate field"), "{error}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = text(&fields());
    for len in 0..whole.len() {
        assert!(parse(&whole.as_bytes()[..len]).is_err(), "cut to {len}");
    }
    assert!(parse(format!("{whole} x").as_bytes()).is_err());
}

#[test]
fn an_endless_file_is_refused_before_it_is_held() {
    let endless = |prefix: &str, item: &str, count: usize| {
        let mut text = String::from(prefix);
        for _ in 0..count {
            text.push_str(item);
        }
        parse(text.as_bytes()).unwrap_err().to_string()
    };
    let error = endless("{\"reserve\": [0", ",0", NAMESPACES_MAX);
    assert!(error.contains("1048577 namespaces"), "{error}");
    let error = endless("{\"tickets\": [[0,0,0,1]", ",[0,0,0,1]", TICKETS_MAX);
    assert!(error.contains("more than 1048576 tickets"), "{error}");
    let error = endless("{\"bundles\": [[0]", ",[0]", crate::batch::BUNDLES_MAX);
    assert!(error.contains("more than 1048576 bundles"), "{error}");
    let error = endless("{\"slots\": [{\"slot\":0}", ",{\"slot\":0}", SLOTS_MAX);
    assert!(error.contains("more than 65536 slots"), "{error}");
    let error = endless("", "[", 100_000);
    assert!(
        error.contains("recursion") || error.contains("invalid type"),
        "{error}"
    );
    assert_eq!(
        parse(&vec![b' '; FILE_BYTES_MAX + 1]),
        Err(FileError::TooLong)
    );
    assert_eq!(
        parse_answers(&vec![b' '; FILE_BYTES_MAX + 1]),
        Err(FileError::TooLong)
    );
}

#[test]
fn totals_of_an_answer_have_one_form() {
    let answer = |live: &str| {
        let text = format!(
            "{{\"name\":\"t\",\"slots\":[{{\"slot\":0,\"seed\":\"{BEACON}\",\
             \"transcript_sha256\":\"{BEACON}\",\"draws\":[{{\"k\":0,\"live\":{live},\"u\":\"0\",\
             \"bundle\":[0],\"ticket\":0,\"pot\":\"1\",\"standby\":null}}],\"revenue\":[\"0\"]}}]}}"
        );
        parse_answers(text.as_bytes())
    };
    let greatest = u128::MAX.to_string();
    assert!(answer(&format!("\"{greatest}\"")).is_ok());
    for wrong in [
        "\"\"", "\"01\"", "\"+1\"", "\"-1\"", "\"1.0\"", "7", "null", "\"0x1\"",
    ] {
        assert!(answer(wrong).is_err(), "{wrong}");
    }
    assert!(answer(&format!("\"{greatest}0\"")).is_err());
}

#[test]
fn an_answer_without_a_claim_on_the_standby_is_no_answer() {
    let text = format!(
        "{{\"name\":\"t\",\"slots\":[{{\"slot\":0,\"seed\":\"{BEACON}\",\"transcript_sha256\":\
         \"{BEACON}\",\"draws\":[{{\"k\":0,\"live\":\"1\",\"u\":\"0\",\"bundle\":[0],\"ticket\":0,\
         \"pot\":\"1\"}}],\"revenue\":[]}}]}}"
    );
    let error = parse_answers(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("missing field `standby`"), "{error}");
}
