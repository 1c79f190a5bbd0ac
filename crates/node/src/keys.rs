//! Key files: secrets of a seat or a proposer, readable by their owner only.

use crate::home::write_atomically;
use alloy_primitives::hex;
use cortado_consensus::host::{HostError, identity_of};
use cortado_types::{Address, Identity, Seat, bls::SecretBls, ecdsa::SigningKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, path::PathBuf};
use thiserror::Error;

/// A key file is a few hundred bytes; a longer one is something else.
const KEY_FILE_BYTES_MAX: u64 = 4_096;

/// EIP-155 chain id of Ethereum mainnet, where stake and collateral are real.
pub const MAINNET: u64 = 1;

/// Bits that a key file must not have: any for group and others.
const FORBIDDEN_MODE: u32 = 0o077;

/// Why a key file is refused.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The system says no.
    #[error("key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could read it.
    #[error("key file {path} has mode {mode:04o}, it must be 0600: run chmod 600 on it")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Too long for a key file.
    #[error("key file {path} is {size} bytes, the limit is {KEY_FILE_BYTES_MAX}")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// Not a key file. The content is a secret and not repeated.
    #[error("key file {path} is not of the expected form: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, without the content.
        reason: String,
    },
    /// Everybody knows these secrets.
    #[error(
        "key file {path} is for tests only: its secrets are public, and the chain's L1 has chain          id {MAINNET}; make new ones with `cortado keys`"
    )]
    TestOnly {
        /// The file.
        path: PathBuf,
    },
}

/// 32 secret bytes as 0x-hex in a file; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode_prefixed(self.0))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The text is a secret, so the error does not repeat it.
        let wrong = || serde::de::Error::custom("a secret is 0x and 64 hex digits");
        let bytes = hex::decode(text).map_err(|_| wrong())?;
        bytes.try_into().map(Self).map_err(|_| wrong())
    }
}

/// Secrets of one seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatKeys {
    /// ed25519 secret: the seat's name on the p2p network.
    pub identity: Secret,
    /// BLS scalar, big endian: votes and acknowledgements.
    pub bls: Secret,
    /// See [`KeyFile::test_only`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test_only: bool,
}

/// Secrets of one proposer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposerKeys {
    /// ed25519 secret: the proposer's name on the p2p network.
    pub identity: Secret,
    /// secp256k1 secret: lane headers and promises.
    pub signing: Secret,
    /// See [`KeyFile::test_only`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test_only: bool,
}

/// The secret of an Ethereum account: it pays for transactions on L1 and owns what it registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountKeys {
    /// secp256k1 secret.
    pub account: Secret,
    /// See [`KeyFile::test_only`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test_only: bool,
}

/// What is in a key file.
pub trait KeyFile: Serialize + DeserializeOwned {
    /// Whether the secrets are known to everybody, as those made from a public seed are. A chain on
    /// Ethereum mainnet refuses them.
    fn test_only(&self) -> bool;
}

impl KeyFile for SeatKeys {
    fn test_only(&self) -> bool {
        self.test_only
    }
}

impl KeyFile for AccountKeys {
    fn test_only(&self) -> bool {
        self.test_only
    }
}

impl KeyFile for ProposerKeys {
    fn test_only(&self) -> bool {
        self.test_only
    }
}

impl SeatKeys {
    /// The BLS key.
    ///
    /// # Errors
    /// If the scalar is out of range.
    pub fn secret_bls(&self) -> Result<SecretBls, cortado_types::bls::BlsError> {
        SecretBls::from_bytes(self.bls.0)
    }

    /// What the world knows of the seat.
    ///
    /// # Errors
    /// If a secret is not a key.
    pub fn seat(&self, registry_index: u32) -> Result<Seat, HostError> {
        let secret = self
            .secret_bls()
            .map_err(|_| cortado_consensus::scheme::KeyError::Secret)?;
        Ok(Seat {
            identity: identity_of(&self.identity.0)?,
            bls: secret.public(),
            registry_index,
        })
    }
}

impl AccountKeys {
    /// The signing key.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn signing_key(&self) -> Result<SigningKey, cortado_types::ecdsa::SignatureError> {
        SigningKey::from_bytes(self.account.0)
    }
}

impl ProposerKeys {
    /// The signing key.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn signing_key(&self) -> Result<SigningKey, cortado_types::ecdsa::SignatureError> {
        SigningKey::from_bytes(self.signing.0)
    }

    /// The proposer's p2p identity.
    ///
    /// # Errors
    /// If the secret is not a key.
    pub fn identity(&self) -> Result<Identity, HostError> {
        identity_of(&self.identity.0)
    }

    /// The address that holds slots.
    ///
    /// # Errors
    /// If the secret is not a key.
    pub fn address(&self) -> Result<Address, cortado_types::ecdsa::SignatureError> {
        Ok(self.signing_key()?.address())
    }
}

/// Reads a key file after checking that only its owner can.
///
/// # Errors
/// [`KeyFileError`]; it never repeats the content.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, KeyFileError> {
    let io = |source| KeyFileError::Io {
        path: path.into(),
        source,
    };
    let metadata = fs::metadata(path).map_err(io)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & FORBIDDEN_MODE != 0 {
        return Err(KeyFileError::Mode {
            path: path.into(),
            mode,
        });
    }
    if metadata.len() > KEY_FILE_BYTES_MAX {
        return Err(KeyFileError::TooLong {
            path: path.into(),
            size: metadata.len(),
        });
    }
    let text = fs::read_to_string(path).map_err(io)?;
    toml::from_str(&text).map_err(|error| KeyFileError::Malformed {
        path: path.into(),
        reason: error.message().to_owned(),
    })
}

/// As [`load`], for a chain whose L1 has this chain id.
///
/// # Errors
/// As [`load`], and for mainnet if the secrets are public.
pub fn load_for<T: KeyFile>(path: &Path, l1_chain_id: u64) -> Result<T, KeyFileError> {
    let keys: T = load(path)?;
    if l1_chain_id == MAINNET && keys.test_only() {
        return Err(KeyFileError::TestOnly { path: path.into() });
    }
    Ok(keys)
}

/// Writes a key file with mode 0600.
///
/// # Errors
/// What the system says.
pub fn save<T: Serialize>(path: &Path, keys: &T) -> Result<(), KeyFileError> {
    let text = toml::to_string(keys).map_err(|error| KeyFileError::Malformed {
        path: path.into(),
        reason: error.to_string(),
    })?;
    write_atomically(path, text.as_bytes(), 0o600).map_err(|source| KeyFileError::Io {
        path: path.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> SeatKeys {
        SeatKeys {
            identity: Secret([1; 32]),
            bls: Secret([2; 32]),
            test_only: false,
        }
    }

    #[test]
    fn public_secrets_are_refused_on_mainnet_and_nowhere_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("seat.toml");
        let public = SeatKeys {
            test_only: true,
            ..keys()
        };
        save(&path, &public).expect("written");
        let error = load_for::<SeatKeys>(&path, 1).expect_err("mainnet");
        assert!(matches!(error, KeyFileError::TestOnly { .. }), "{error}");
        assert_eq!(
            load_for::<SeatKeys>(&path, 31_337).expect("a testnet"),
            public
        );
        save(&path, &keys()).expect("written");
        assert_eq!(load_for::<SeatKeys>(&path, 1).expect("own secrets"), keys());
    }

    #[test]
    fn a_key_file_is_written_for_its_owner_only_and_read_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("seat.toml");
        save(&path, &keys()).expect("written");
        let mode = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(load::<SeatKeys>(&path).expect("read"), keys());
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("seat.toml");
        save(&path, &keys()).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("widened");
        let error = load::<SeatKeys>(&path).expect_err("too wide");
        assert!(error.to_string().contains("0640"), "{error}");
    }

    #[test]
    fn a_malformed_key_file_is_refused_without_repeating_the_secret() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("seat.toml");
        let text = "identity = \"0xsecretsecret\"\nbls = \"0x00\"\n";
        write_atomically(&path, text.as_bytes(), 0o600).expect("written");
        let error = load::<SeatKeys>(&path).expect_err("malformed");
        assert!(matches!(error, KeyFileError::Malformed { .. }), "{error}");
        assert!(!error.to_string().contains("secretsecret"), "{error}");
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        assert!(!format!("{:?}", keys()).contains('1'));
    }
}
