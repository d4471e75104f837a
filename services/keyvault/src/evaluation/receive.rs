//! The stream of an upload, cut into parts that are stored as soon as they are whole.

use bytes::{Bytes, BytesMut};
use sphinx_proto::TenantId;

use crate::error::VaultError;
use crate::evaluation::{PART_BYTES, Parts, check};
use crate::material::Announcement;

/// An upload under way. It holds less than a part and a chunk in memory.
#[derive(Debug)]
pub(crate) struct Receiver<'a> {
    parts: &'a Parts,
    tenant: &'a TenantId,
    announced: &'a Announcement,
    sha256: &'a str,
    max_chunk_bytes: u32,
    /// Bytes from the material's start to the end of what is stored.
    stored: u64,
    open: BytesMut,
}

impl<'a> Receiver<'a> {
    /// Goes on at the announced offset.
    pub(crate) async fn new(
        parts: &'a Parts,
        tenant: &'a TenantId,
        announced: &'a Announcement,
        sha256: &'a str,
        max_chunk_bytes: u32,
    ) -> Result<Self, VaultError> {
        let (got, total) = (announced.offset, announced.material_bytes);
        let stored = parts.stored_bytes(tenant, sha256, total).await?;
        let at_a_part = got.is_multiple_of(PART_BYTES as u64) || got == total;
        if got > stored || !at_a_part {
            return Err(VaultError::Offset { got, stored });
        }
        let open = BytesMut::new();
        Ok(Self { parts, tenant, announced, sha256, max_chunk_bytes, stored: got, open })
    }

    /// Bytes from the material's start to the last one received.
    pub(crate) fn received(&self) -> u64 {
        self.stored + self.open.len() as u64
    }

    pub(crate) async fn push(&mut self, chunk: &[u8]) -> Result<(), VaultError> {
        if chunk.len() > self.max_chunk_bytes as usize {
            return Err(VaultError::Chunk { got: chunk.len(), limit: self.max_chunk_bytes });
        }
        let (got, expected) = (self.received() + chunk.len() as u64, self.announced.material_bytes);
        if got > expected {
            return Err(VaultError::TooLong { got, expected });
        }
        self.open.extend_from_slice(chunk);
        while self.open.len() >= PART_BYTES {
            let part = self.open.split_to(PART_BYTES).freeze();
            self.store(part).await?;
        }
        if self.received() == expected && !self.open.is_empty() {
            let rest = self.open.split().freeze();
            self.store(rest).await?;
        }
        Ok(())
    }

    /// Everything announced has been stored.
    pub(crate) fn finish(&self) -> Result<(), VaultError> {
        let (got, expected) = (self.received(), self.announced.material_bytes);
        if got == expected { Ok(()) } else { Err(VaultError::CutShort { got, expected }) }
    }

    async fn store(&mut self, part: Bytes) -> Result<(), VaultError> {
        if self.stored == 0 {
            // Before the first byte reaches the disk.
            check::first_part(&part)?;
        }
        let number = usize::try_from(self.stored / PART_BYTES as u64).unwrap_or(usize::MAX);
        let length = part.len() as u64;
        self.parts.store(self.tenant, self.sha256, number, part).await?;
        self.stored += length;
        Ok(())
    }
}
