//! Digests, message authentication and random bytes, for the classes in `js/crypto.js`.
//!
//! Owns: the translation to the crates that know the algorithms. Never: keeps a key.

use hmac::{Hmac, Mac};
use rquickjs::{Ctx, TypedArray};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::host;
use crate::native::bytes_of;

type Bytes<'js> = TypedArray<'js, u8>;

/// `None` if the algorithm is not known.
pub fn digest<'js>(
    ctx: Ctx<'js>,
    algorithm: String,
    data: Bytes<'js>,
) -> rquickjs::Result<Option<Bytes<'js>>> {
    let data = bytes_of(&data);
    let digest = match algorithm.as_str() {
        "SHA-1" => Sha1::digest(data).to_vec(),
        "SHA-256" => Sha256::digest(data).to_vec(),
        "SHA-384" => Sha384::digest(data).to_vec(),
        "SHA-512" => Sha512::digest(data).to_vec(),
        _ => return Ok(None),
    };
    TypedArray::new(ctx, digest).map(Some)
}

/// `None` if the algorithm of the digest is not known.
pub fn hmac<'js>(
    ctx: Ctx<'js>,
    algorithm: String,
    key: Bytes<'js>,
    data: Bytes<'js>,
) -> rquickjs::Result<Option<Bytes<'js>>> {
    let (key, data) = (bytes_of(&key), bytes_of(&data));
    let code = match algorithm.as_str() {
        "SHA-1" => authenticate::<Hmac<Sha1>>(key, data),
        "SHA-256" => authenticate::<Hmac<Sha256>>(key, data),
        "SHA-384" => authenticate::<Hmac<Sha384>>(key, data),
        "SHA-512" => authenticate::<Hmac<Sha512>>(key, data),
        _ => return Ok(None),
    };
    TypedArray::new(ctx, code).map(Some)
}

/// At most 65,536 bytes, which the caller checks.
pub fn random_bytes(ctx: Ctx<'_>, len: usize) -> rquickjs::Result<Bytes<'_>> {
    let mut bytes = vec![0; len];
    host::fill_random(&mut bytes);
    TypedArray::new(ctx, bytes)
}

fn authenticate<M: Mac + hmac::digest::KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = <M as Mac>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}
