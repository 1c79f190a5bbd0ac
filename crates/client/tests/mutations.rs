//! Ten thousand certificates that are wrong in one way or another, and the true ones they were made from.
//!
//! `contracts/mutations.mjs` makes the same ones for the contract on Ethereum, which refuses them as well:
//! `vectors/mutations.json` holds the digest of all of them, and what stands in for signatures.

use alloy_rlp::{Encodable, Header as RlpHeader};
use cortado_client::{LightClient, api::limits::HEADER_BYTES_MAX};
use cortado_types::{
    B256, Bytes, FinalityCertificate, Genesis, Header, SeatBitmap, Term, View, bls::SignatureBytes,
    decode_exact, keccak256,
};
use serde_json::Value;

const WAYS: u8 = 12;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Certified {
    header: Vec<u8>,
    view: u64,
    parent_view: u64,
    bitmap: Vec<u8>,
    signature: Vec<u8>,
}

impl Certified {
    fn encode(&self) -> Vec<u8> {
        let mut out = (self.header.len() as u64).to_be_bytes().to_vec();
        out.extend(&self.header);
        out.extend(self.view.to_be_bytes());
        out.extend(self.parent_view.to_be_bytes());
        out.extend((self.bitmap.len() as u64).to_be_bytes());
        out.extend(&self.bitmap);
        out.extend(&self.signature);
        out
    }
}

fn vectors(name: &str) -> Value {
    let path = format!("{}/../../vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    value.as_str().unwrap().parse::<Bytes>().unwrap().to_vec()
}

fn flip(bytes: &mut [u8], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// The RLP of the header with another value in a field; the fields are taken as they stand.
fn with_field(rlp: &[u8], field: usize, change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut rest = rlp;
    RlpHeader::decode(&mut rest).unwrap();
    let mut payload = Vec::new();
    for place in 0.. {
        if rest.is_empty() {
            break;
        }
        let mut inside = rest;
        let head = RlpHeader::decode(&mut inside).unwrap();
        let size = rest.len() - inside.len() + head.payload_length;
        if place == field {
            change(&inside[..head.payload_length])
                .as_slice()
                .encode(&mut payload);
        } else {
            payload.extend(&rest[..size]);
        }
        rest = &rest[size..];
    }
    let mut out = Vec::new();
    let head = RlpHeader {
        list: true,
        payload_length: payload.len(),
    };
    head.encode(&mut out);
    out.extend(payload);
    out
}

/// Mutation `index`: as `mutate` in `contracts/mutations.mjs`, where each way is named.
fn mutate(index: u32, bases: &[Certified], points: &[Value]) -> Certified {
    let dice = keccak256([b"mutation".as_slice(), &index.to_be_bytes()].concat());
    let mut made = bases[dice[0] as usize % bases.len()].clone();
    let spread = u32::from_be_bytes([dice[4], dice[5], dice[6], dice[7]]) as usize;
    let size = made.header.len();
    match dice[1] % WAYS {
        0 => flip(&mut made.header, spread % (size * 8)),
        1 => made.header[spread % size] ^= 1 + dice[2] % 255,
        2 => made.header.truncate(spread % size),
        3 => made.header.extend(&dice[8..9 + dice[2] as usize % 20]),
        4 => {
            let fields = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16];
            let field = fields[dice[2] as usize % 14];
            made.header = with_field(&made.header, field, |old| {
                let mut new = old.to_vec();
                if old.len() == 32 {
                    flip(&mut new, spread % 256);
                    return new;
                }
                new = vec![1 + dice[3] % 255];
                new.extend(&dice[8..9 + dice[3] as usize % 7]);
                if new == old {
                    new = vec![1 + old[0] % 100, 7];
                }
                new
            });
        }
        5 => made.view ^= 1 << (spread % 64),
        6 => made.parent_view ^= 1 << (spread % 64),
        7 => {
            let view = made.view;
            made.view = made.parent_view;
            made.parent_view = view + u64::from(dice[2] % 4);
        }
        8 => {
            let bits = made.bitmap.len() * 8;
            flip(&mut made.bitmap, spread % bits);
        }
        9 if dice[2] % 2 == 1 => made.bitmap.extend(&dice[8..9 + dice[3] as usize % 8]),
        9 => {
            let keep = dice[3] as usize % made.bitmap.len();
            made.bitmap.truncate(keep);
        }
        10 => flip(&mut made.signature, spread % 384),
        _ => {
            let point = &points[spread % points.len()];
            made.signature = hex(&point["signature"]);
            if let Some(bitmap) = point.get("bitmap") {
                made.bitmap = hex(bitmap);
            }
        }
    }
    if dice[30] % 4 == 0 {
        made.view ^= (1 + u64::from(dice[31])) << 9;
    }
    made
}

/// The certificates that the recorded answers hold.
fn recorded(answers: &serde_json::Map<String, Value>) -> Vec<Certified> {
    let mut found: Vec<Certified> = Vec::new();
    for lane in answers.values().filter_map(|answer| answer.get("lane")) {
        let certificate = &lane["certificate"];
        let last = certificate["descendants"].as_array().unwrap().last();
        let one = Certified {
            header: hex(last.unwrap_or(&lane["header"])),
            view: certificate["view"].as_u64().unwrap(),
            parent_view: certificate["parent_view"].as_u64().unwrap(),
            bitmap: hex(&certificate["bitmap"]),
            signature: hex(&certificate["signature"]),
        };
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

fn accepts(client: &LightClient, one: &Certified) -> bool {
    let Ok(header) = decode_exact::<Header>("header", &one.header, HEADER_BYTES_MAX) else {
        return false;
    };
    let certificate = FinalityCertificate {
        term: Term::ZERO,
        view: View::new(one.view),
        parent_view: View::new(one.parent_view),
        payload: keccak256(&one.header),
        signers: SeatBitmap::from_bytes(one.bitmap.clone()),
        signature: SignatureBytes::from_slice(&one.signature),
    };
    client.header(header, &certificate, &[]).is_ok()
}

#[test]
fn ten_thousand_mutated_certificates_are_refused_and_the_true_ones_accepted() {
    let finality = vectors("finality.json");
    let answers = finality["answers"].as_object().unwrap();
    let mutations = vectors("mutations.json");
    let points = mutations["points"].as_array().unwrap();
    let genesis: Genesis = serde_json::from_value(answers["/v1/genesis"].clone()).unwrap();
    let client = LightClient::new(&genesis).unwrap();
    let bases = recorded(answers);
    assert_eq!(bases.len() as u64, mutations["certificates"]);

    let count = u32::try_from(mutations["count"].as_u64().unwrap()).unwrap();
    assert_eq!(count, 10_000);
    let mut all = Vec::new();
    for index in 0..count {
        let made = mutate(index, &bases, points);
        assert!(!bases.contains(&made), "mutation {index} changes nothing");
        assert!(!accepts(&client, &made), "mutation {index}: {made:?}");
        all.extend(keccak256(made.encode()));
    }
    // The contract was shown the same ones.
    let digest: B256 = mutations["digest"].as_str().unwrap().parse().unwrap();
    assert_eq!(keccak256(all), digest);
    for base in &bases {
        assert!(accepts(&client, base));
    }
}
