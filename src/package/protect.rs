//! Encryption of what a title is made of: which key is for which track, and what of its bytes it
//! makes unreadable.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use super::init_key;
use super::maker::Maker;
use crate::cipher::Encrypting;
use crate::cmaf::encrypt::{SampleEncryptor, SampleFormat};
use crate::cmaf::protection::InitProtection;
use crate::cmaf::read;
use crate::codec::avc::AvcConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::KeySource;
use crate::media::{
    ContentKey, Encryption, EncryptionPlan, Iv, KeyPlan, Plan, ProtectedKind, Scheme,
    TrackProtection,
};
use crate::pssh;

/// The encryption that `policy` asks for, of a source with that digest.
///
/// # Errors
/// `Invalid` when there are no keys, or not those that it needs.
pub(super) fn encryption_plan(
    policy: Option<&Encryption>,
    keys: Option<&KeySource>,
    source_digest: &str,
) -> Result<Option<EncryptionPlan>> {
    let Some(policy) = policy else {
        return Ok(None);
    };
    let no_keys = || {
        Error::invalid(
            "the policy encrypts and there are no keys; name a key file with --key-file, which \
             `openssl rand -hex 32` makes",
        )
    };
    let keys = keys.ok_or_else(no_keys)?;
    keys.plan(policy, source_digest).map(Some)
}

/// What decides about the key of a rendition of the plan.
fn protected_kind(plan: &Plan, track: &str) -> Result<ProtectedKind> {
    let video = plan.video.iter().flat_map(|video| &video.renditions);
    let video = video
        .filter(|rendition| rendition.id == track)
        .map(|rendition| ProtectedKind::of_picture(rendition.width, rendition.height));
    let audio = plan.audio.iter().filter(|rendition| rendition.id == track);
    let audio = audio.map(|_| ProtectedKind::Audio);
    let unknown = || Error::internal(format!("nothing is known of the encryption of {track}"));
    video.chain(audio).next().ok_or_else(unknown)
}

/// How a rendition is protected, if the plan encrypts.
pub(super) fn track_protection(plan: &Plan, track: &str) -> Result<Option<TrackProtection>> {
    let Some(encryption) = &plan.encryption else {
        return Ok(None);
    };
    encryption.track(protected_kind(plan, track)?).map(Some)
}

/// The initialization vector of a whole segment: its media sequence number (RFC 8216bis 5.2).
pub(super) fn segment_iv(number: u32) -> Iv {
    Iv(u128::from(number).to_be_bytes())
}

/// The sample formats of tracks, each read once.
pub(super) type Formats = Mutex<BTreeMap<String, SampleFormat>>;

impl Maker {
    /// The key of a rendition, if it is encrypted in that scheme.
    fn key_in(&self, scheme: Scheme, track: &str) -> Result<Option<(KeyPlan, ContentKey)>> {
        let plan = &self.prepared.plan;
        let Some(encryption) = plan
            .encryption
            .as_ref()
            .filter(|encryption| encryption.policy.scheme == scheme)
        else {
            return Ok(None);
        };
        let planned = encryption.key_for(protected_kind(plan, track)?)?;
        let no_keys = || {
            let why = "the plan encrypts and there are no keys; give the key file of then";
            Error::new(ErrorKind::Conflict, why)
        };
        let keys = self.prepared.keys.as_ref().ok_or_else(no_keys)?;
        let key = keys.content_key(&plan.source_digest, &planned)?;
        Ok(Some((planned, key)))
    }

    /// What the header of a rendition says of its encryption, if its samples are encrypted.
    pub(super) fn init_protection(&self, track: &str) -> Result<Option<InitProtection>> {
        let protection = track_protection(&self.prepared.plan, track)?;
        let protection = protection.filter(|protection| protection.scheme == Scheme::Cbcs);
        Ok(protection.map(|protection| InitProtection {
            key_id: protection.key_id,
            iv: protection.iv,
            pssh: pssh::boxes(&protection),
        }))
    }

    /// Encrypts the samples of a rendition, if they are to be.
    pub(super) fn sample_encryptor(
        &self,
        track: &str,
        stop: &AtomicBool,
    ) -> Result<Option<SampleEncryptor>> {
        let Some((planned, key)) = self.key_in(Scheme::Cbcs, track)? else {
            return Ok(None);
        };
        let format = match protected_kind(&self.prepared.plan, track)? {
            ProtectedKind::Audio => SampleFormat::Whole,
            ProtectedKind::Video { .. } => self.video_format(track, stop)?,
        };
        SampleEncryptor::new(&key, planned.iv, format).map(Some)
    }

    /// The format of a video rendition's samples, as its init segment says. Where there is none
    /// yet, the encoders are asked for all of them.
    fn video_format(&self, track: &str, stop: &AtomicBool) -> Result<SampleFormat> {
        // Held while the encoders are asked, so that one thread does.
        let mut formats = self.formats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(format) = formats.get(track) {
            return Ok(format.clone());
        }
        let key = init_key(&self.prepared.revision, track);
        let init = match self.store.read(&key)? {
            Some(init) => init,
            None => {
                self.put_inits(stop)?;
                let lost = || Error::internal(format!("{key} was not made"));
                self.store.read(&key)?.ok_or_else(lost)?
            }
        };
        let format = format_of(&init).map_err(|e| e.context(&key))?;
        formats.insert(track.to_owned(), format.clone());
        Ok(format)
    }

    /// The bytes of a whole segment as they are stored.
    pub(super) fn seal(&self, track: &str, number: u32, bytes: Vec<u8>) -> Result<Vec<u8>> {
        match self.key_in(Scheme::Aes128, track)? {
            Some((_, key)) => Encrypting::new(&key)?.padded(segment_iv(number), bytes),
            None => Ok(bytes),
        }
    }
}

/// The format of the samples that an init segment is for.
fn format_of(init: &[u8]) -> Result<SampleFormat> {
    let info = read::read_init(init)?;
    let mut entries = info.tracks.iter().flat_map(|track| &track.sample_entries);
    let entry = entries.next();
    let unknown = || Error::unsupported("it can't be told what of its samples to encrypt");
    let avc = entry
        .and_then(|entry| entry.find(b"avcC"))
        .ok_or_else(unknown)?;
    Ok(SampleFormat::avc(&AvcConfig::parse(avc)?))
}
