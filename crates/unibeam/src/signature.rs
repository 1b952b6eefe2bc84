//! Signatures of minisign (Ed25519 over BLAKE2b-512): made with its secret keys, checked with its
//! public keys.

use ct_codecs::{Base64, Decoder};
use minisign::{ErrorKind, PError, SecretKey, SecretKeyBox};
use minisign_verify::{PublicKey, Signature};
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

/// Bytes of a secret key: algorithms, salt and limits of scrypt, number, key, checksum (jedisct1's
/// page on minisign, "Secret key format").
const SECRET_KEY_SIZE: usize = 158;
/// What these begin with: Ed25519, and scrypt if there is a password, else nothing.
const WITH_PASSWORD: [u8; 4] = *b"EdSc";
const WITHOUT_PASSWORD: [u8; 4] = *b"Ed\0\0";

/// The comment that is not signed.
const UNTRUSTED: &str = "signature of an image of unibeam";

/// Bytes of a file that are read at a time.
const BUFFER: usize = 1 << 16;

/// Why an image is not signed, or its signature not good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error("cannot read the key {}: {source}", path.display())]
    ReadKey { path: PathBuf, source: io::Error },
    #[error("{} is not a secret key of minisign: expected a comment and a line of {SECRET_KEY_SIZE} bytes in base64; `minisign -G -s FILE` makes one", path.display())]
    NotASecretKey { path: PathBuf },
    #[error("the key {} cannot be used: {source}", path.display())]
    SecretKey { path: PathBuf, source: PError },
    #[error("the key {} is damaged: its halves do not belong together; use a copy of it, or make another with `minisign -G`", path.display())]
    DamagedKey { path: PathBuf },
    #[error("the password is not that of the key {}", path.display())]
    WrongPassword { path: PathBuf },
    #[error("the key {} has a password, and there is no terminal to ask for it; set UNIBEAM_KEY_PASSWORD, or name a file with --key-password-file", path.display())]
    NoPassword { path: PathBuf, source: io::Error },
    #[error("cannot read the password in {}: {source}", path.display())]
    ReadPassword { path: PathBuf, source: io::Error },
    #[error("cannot sign {}: {source}", path.display())]
    Sign { path: PathBuf, source: PError },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("there is no signature {}; `unibeam image --sign KEY` makes one, --signature names another place", path.display())]
    NoSignature { path: PathBuf },
    #[error("{} is not a signature of minisign: {source}", path.display())]
    NotASignature {
        path: PathBuf,
        source: minisign_verify::Error,
    },
    #[error(
        "{given} is not a public key of minisign: {source}; it is the second line of minisign.pub"
    )]
    NotAPublicKey {
        given: String,
        source: minisign_verify::Error,
    },
    #[error("{} is of the kind that minisign made before version 0.10, which is not taken; sign again", path.display())]
    Legacy { path: PathBuf },
    #[error("{} was signed with another key than this one", path.display())]
    OtherKey { path: PathBuf },
    #[error("{} is not what was signed: it, its signature or the comment in it was changed", path.display())]
    Changed { path: PathBuf },
}

impl SignatureError {
    /// Whether everything could be read, and the signature is not good.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self, Self::OtherKey { .. } | Self::Changed { .. })
    }
}

/// Where the signature of a file is, unless something else is said.
pub(crate) fn place(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// A secret key that is ready for use. Not for printing.
pub(crate) struct Signer(SecretKey);

impl Signer {
    /// Reads a secret key; `password` is called if it has one.
    ///
    /// # Errors
    /// It is not a key, or the password not its own.
    pub(crate) fn read(
        path: &Path,
        password: impl FnOnce() -> Result<String, SignatureError>,
    ) -> Result<Self, SignatureError> {
        let text = fs::read_to_string(path).map_err(|source| SignatureError::ReadKey {
            path: path.into(),
            source,
        })?;
        let bytes = secret_key_bytes(&text).unwrap_or_default();
        let key = if bytes.starts_with(&WITH_PASSWORD) {
            SecretKeyBox::from(text).into_secret_key(Some(password()?))
        } else if bytes.starts_with(&WITHOUT_PASSWORD) {
            // Not as a box, because minisign's program writes no checksum then.
            SecretKey::from_bytes(&bytes)
        } else {
            return Err(SignatureError::NotASecretKey { path: path.into() });
        };
        let key = key.map_err(|source| match source.kind() {
            ErrorKind::Verify => SignatureError::WrongPassword { path: path.into() },
            _ => SignatureError::SecretKey {
                path: path.into(),
                source,
            },
        })?;
        match signs_well(&key) {
            true => Ok(Self(key)),
            false => Err(SignatureError::DamagedKey { path: path.into() }),
        }
    }

    /// The signature of a file, with a comment that is signed as well.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn sign(&self, path: &Path, comment: &str) -> Result<String, SignatureError> {
        let file = File::open(path).map_err(|source| SignatureError::Read {
            path: path.into(),
            source,
        })?;
        let signed = minisign::sign(None, &self.0, file, Some(comment), Some(UNTRUSTED));
        let signature = signed.map_err(|source| SignatureError::Sign {
            path: path.into(),
            source,
        })?;
        Ok(signature.into_string())
    }
}

/// Whether the two halves of a key belong together: a key without a password has no checksum that
/// would tell.
fn signs_well(key: &SecretKey) -> bool {
    let public = minisign::PublicKey::from_secret_key(key);
    let signature = minisign::sign(None, key, io::empty(), None, None);
    let (Ok(public), Ok(signature)) = (public, signature) else {
        return false;
    };
    minisign::verify(&public, &signature, Cursor::new([]), true, false, false).is_ok()
}

/// The bytes of a key's file, if they are as many as a secret key has.
fn secret_key_bytes(text: &str) -> Option<Vec<u8>> {
    let bytes = Base64::decode_to_vec(text.lines().nth(1)?, None).ok()?;
    (bytes.len() == SECRET_KEY_SIZE).then_some(bytes)
}

/// The public key in a file.
///
/// # Errors
/// It cannot be read, or is no key.
pub(crate) fn read_public_key(path: &Path) -> Result<PublicKey, SignatureError> {
    let text = fs::read_to_string(path).map_err(|source| SignatureError::ReadKey {
        path: path.into(),
        source,
    })?;
    PublicKey::decode(&text).map_err(|source| SignatureError::NotAPublicKey {
        given: path.display().to_string(),
        source,
    })
}

/// The public key that a text is.
///
/// # Errors
/// It is no key.
pub(crate) fn public_key(text: &str) -> Result<PublicKey, SignatureError> {
    PublicKey::from_base64(text.trim()).map_err(|source| SignatureError::NotAPublicKey {
        given: format!("`{text}`"),
        source,
    })
}

/// Checks that a file is what was signed; gives the comment that was signed with it.
///
/// # Errors
/// It is not, or something cannot be read.
pub(crate) fn verify(
    path: &Path,
    signature_path: &Path,
    key: &PublicKey,
) -> Result<String, SignatureError> {
    let mut file = File::open(path).map_err(|source| SignatureError::Read {
        path: path.into(),
        source,
    })?;
    let signature = read_signature(signature_path)?;
    let mut verifier = key
        .verify_stream(&signature)
        .map_err(|error| refusal(error, path, signature_path))?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = file
            .read(&mut buffer)
            .map_err(|source| SignatureError::Read {
                path: path.into(),
                source,
            })?;
        if count == 0 {
            break;
        }
        verifier.update(&buffer[..count]);
    }
    verifier
        .finalize()
        .map_err(|error| refusal(error, path, signature_path))?;
    Ok(signature.trusted_comment().into())
}

fn read_signature(path: &Path) -> Result<Signature, SignatureError> {
    let path_buf = || path.to_path_buf();
    let text = fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => SignatureError::NoSignature { path: path_buf() },
        _ => SignatureError::Read {
            path: path_buf(),
            source,
        },
    })?;
    Signature::decode(&text).map_err(|source| SignatureError::NotASignature {
        path: path_buf(),
        source,
    })
}

fn refusal(error: minisign_verify::Error, path: &Path, signature: &Path) -> SignatureError {
    match error {
        minisign_verify::Error::UnexpectedKeyId => SignatureError::OtherKey { path: path.into() },
        minisign_verify::Error::UnsupportedLegacyMode => SignatureError::Legacy {
            path: signature.into(),
        },
        _ => SignatureError::Changed { path: path.into() },
    }
}
