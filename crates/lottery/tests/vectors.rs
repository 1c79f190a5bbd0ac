//! The golden vectors, bit for bit, and by the independent verifier.

use cortado_lottery::file::{self, Answer, SlotAnswer};
use cortado_lottery::{Index, Lottery};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../vectors/lottery.json");

/// Amounts of the vectors are numbers where they fit; the answer always writes strings.
fn as_text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn every_vector_is_reproduced_bit_for_bit_and_verifies() {
    let file = file::parse(VECTORS.as_bytes()).unwrap();
    let expected: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    assert_eq!(file.as_slice().len(), 3);
    let mut compared = 0;
    for (instance, expected) in file.as_slice().iter().zip(&expected) {
        let index = Index::new(&instance.batch);
        let mut lottery = Lottery::new(&index);
        let slots: Vec<SlotAnswer> = instance
            .slots
            .iter()
            .map(|&slot| SlotAnswer::new(&index, &lottery.draw(instance.beacon, slot)))
            .collect();
        let answer = Answer {
            name: instance.name.clone(),
            slots,
        };
        answer.verify(instance, |_| ()).unwrap();
        let found = serde_json::to_value(&answer).unwrap();
        let pairs = found["slots"].as_array().unwrap().iter();
        for (found, expected) in pairs.zip(expected["slots"].as_array().unwrap()) {
            for (field, value) in expected.as_object().unwrap() {
                if field == "revenue" {
                    let texts = |list: &Value| -> Vec<String> {
                        list.as_array().unwrap().iter().map(as_text).collect()
                    };
                    assert_eq!(texts(&found[field]), texts(value));
                    assert!(
                        found[field]
                            .as_array()
                            .unwrap()
                            .iter()
                            .all(Value::is_string)
                    );
                } else {
                    assert_eq!(&found[field], value, "{} {field}", instance.name);
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 8 * 5 + 4 * 5 + 6 * 3);
}
