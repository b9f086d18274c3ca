//! Reads bodies, but never more than was agreed to.

use bytes::BytesMut;
use reqwest::Response;

/// How much memory is set aside on the server's word alone.
const TRUSTED: usize = 4 * 1024 * 1024;

/// Why a body could not be read to its end.
pub(super) enum Unread {
    /// The rest of it did not come, or its compression is broken.
    CutShort,
    TooLarge,
}

/// The whole body, decompressed, if it is no larger than `cap`. Counting what
/// comes out of the decompressor keeps a small body from becoming a huge one.
pub(super) async fn read(response: &mut Response, cap: usize) -> Result<BytesMut, Unread> {
    let expected = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
    if expected > cap {
        return Err(Unread::TooLarge);
    }
    let mut body = BytesMut::with_capacity(expected.min(TRUSTED));
    while let Some(chunk) = response.chunk().await.map_err(|_| Unread::CutShort)? {
        if body.len() + chunk.len() > cap {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
