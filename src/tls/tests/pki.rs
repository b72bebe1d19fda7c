//! A CA with an intermediate, made for one test, and files of what it issues.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams,
    CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevocationReason, RevokedCertParams, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::Options;

/// 2025-06-15T00:00:00Z, inside the validity of what is issued here by default.
pub(super) const NOW: i64 = 1_749_945_600_000;

/// A root and the intermediate that issues.
pub(super) struct Authority {
    pub(super) root: CertifiedIssuer<'static, KeyPair>,
    pub(super) intermediate: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(super) struct Issued {
    pub(super) leaf: Certificate,
    pub(super) key: KeyPair,
    intermediate: String,
}

fn ca(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    (params, KeyPair::generate().unwrap())
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let (params, key) = ca(&format!("{name} root"));
        let root = CertifiedIssuer::self_signed(params, key).unwrap();
        let (params, key) = ca(&format!("{name} intermediate"));
        let intermediate = CertifiedIssuer::signed_by(params, key, &root).unwrap();
        Self { root, intermediate }
    }

    /// A certificate for `name`, for servers and clients.
    pub(super) fn issue(&self, name: &str) -> Issued {
        self.issue_with(name, &rcgen::PKCS_ECDSA_P256_SHA256, |_| ())
    }

    pub(super) fn issue_with(
        &self,
        name: &str,
        algorithm: &'static SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::new(vec![String::from(name)]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2025, 1, 1);
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        Issued {
            leaf: params.signed_by(&key, &self.intermediate).unwrap(),
            key,
            intermediate: self.intermediate.pem(),
        }
    }

    /// What a client of a server with this CA trusts.
    pub(super) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// A list, in PEM, that revokes the certificate with this serial number.
    pub(super) fn revoke(&self, serial: u64) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2025, 2, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 2, 1),
            next_update: date_time_ymd(2025, 3, 1),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.intermediate).unwrap();
        list.pem().unwrap()
    }
}

impl Issued {
    pub(super) fn full_chain(&self) -> String {
        self.leaf.pem() + &self.intermediate
    }

    pub(super) fn chain_der(&self, authority: &Authority) -> Vec<CertificateDer<'static>> {
        vec![
            self.leaf.der().clone(),
            authority.intermediate.der().clone(),
        ]
    }

    pub(super) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    /// Writes both files into a folder; the options that name them.
    pub(super) fn write(&self, folder: &Path) -> Options {
        Options {
            certificate: Some(write(folder, "fullchain.pem", &self.full_chain())),
            key: Some(write(folder, "privkey.pem", &self.key.serialize_pem())),
            ..Options::default()
        }
    }
}

/// Replaces a file as tools do that care: by a rename.
pub(super) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let (path, part) = (folder.join(name), folder.join("part"));
    std::fs::write(&part, text).unwrap();
    std::fs::rename(part, &path).unwrap();
    path
}
