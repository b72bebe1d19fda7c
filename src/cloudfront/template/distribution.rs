//! A distribution as it was asked for, checked: what the two languages spell.

use super::public_key::PublicKey;
use super::rules;

/// All that differs from one distribution to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// What its resources' names begin with.
    pub name: String,
    /// Our server; asked first.
    pub server: Option<Server>,
    /// The bucket that the server fills; asked when the server can't answer, or alone.
    pub bucket: Option<Bucket>,
    /// Names of its own; without them it has only the one that CloudFront gives.
    pub viewer: Option<ViewerDomain>,
    /// The pages whose scripts may read the streams.
    pub pages: Pages,
    /// Whose signatures on cookies and URLs open it; none: it is open.
    pub signers: Vec<PublicKey>,
    /// Where all caches meet before the origin is asked.
    pub shield_region: Option<String>,
    /// How much of the world it has edges in.
    pub price_class: PriceClass,
    /// The bucket that access logs go to.
    pub log_bucket: Option<String>,
}

/// Our server as an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its DNS name, which its certificate has.
    pub host: String,
    /// Its TLS port.
    pub port: u16,
    /// The header that opens the origin lock.
    pub secret: Option<SecretHeader>,
    /// ARN of the client certificate that CloudFront shows it.
    pub client_certificate: Option<String>,
}

/// A secret that CloudFront sends with every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretHeader {
    /// The header's name.
    pub name: String,
    /// Where its value comes from.
    pub place: SecretPlace,
}

/// Where a secret comes from. It never stands in the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// It is given at deployment, as a parameter that isn't shown.
    Parameter,
    /// A secret in Secrets Manager, by name or ARN; its version is given at deployment.
    SecretsManager(String),
}

/// A bucket as an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// What stands before `v/` in its keys: empty, or parts with `/` between them.
    pub prefix: String,
    /// It is there already, and stays as it is but for its policy.
    pub exists: bool,
}

impl Bucket {
    /// The name that CloudFront asks it under.
    pub fn domain(&self) -> String {
        format!("{}.s3.{}.amazonaws.com", self.name, self.region)
    }

    /// What CloudFront puts before the path: empty, or beginning with `/`.
    pub fn origin_path(&self) -> String {
        match self.prefix.as_str() {
            "" => String::new(),
            prefix => format!("/{prefix}"),
        }
    }

    /// The keys that may be read, as the end of an ARN: what is delivered and nothing else.
    pub fn readable_keys(&self) -> String {
        format!("{}{}/*", self.origin_path(), rules::DELIVERED_FOLDER)
    }
}

/// The names that viewers know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewerDomain {
    /// DNS names; at least one.
    pub names: Vec<String>,
    /// ARN of a certificate for all of them.
    pub certificate: String,
}

/// Whose scripts may read the streams (the CORS protocol of the Fetch standard).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pages {
    /// Those of any page, without cookies.
    Any,
    /// Those of pages from these origins, with cookies.
    Of(Vec<String>),
}

impl Pages {
    /// The origins that are named, as both languages list them.
    pub fn origins(&self) -> Vec<String> {
        match self {
            Self::Any => vec!["*".to_owned()],
            Self::Of(origins) => origins.clone(),
        }
    }

    /// Whether cookies may come along, and the origin's `*` is replaced: a browser refuses the two
    /// together.
    pub fn has_credentials(&self) -> bool {
        matches!(self, Self::Of(_))
    }
}

/// How much of the world a distribution has edges in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PriceClass {
    /// North America, Europe and Israel.
    Fewest,
    /// Those and Asia, the Middle East and Africa.
    Most,
    /// Everywhere.
    #[default]
    All,
}

impl PriceClass {
    /// Its name at AWS.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fewest => "PriceClass_100",
            Self::Most => "PriceClass_200",
            Self::All => "PriceClass_All",
        }
    }
}

/// Name of our server among the origins.
pub(super) const SERVER_ID: &str = "server";
/// Name of the bucket among the origins.
pub(super) const BUCKET_ID: &str = "bucket";
/// Name of the pair of both.
pub(super) const PAIR_ID: &str = "server-then-bucket";

impl Distribution {
    /// The origin, or pair of them, that objects come from.
    pub(super) fn target_id(&self) -> &'static str {
        match (&self.server, &self.bucket) {
            (Some(_), Some(_)) => PAIR_ID,
            (None, Some(_)) => BUCKET_ID,
            _ => SERVER_ID,
        }
    }

    /// The origin of the behaviour that never asks one.
    pub(super) fn single_id(&self) -> &'static str {
        match self.server {
            Some(_) => SERVER_ID,
            None => BUCKET_ID,
        }
    }

    /// How objects are kept here: keys are behind our server only.
    pub(super) fn cache_policies(&self) -> impl Iterator<Item = rules::CachePolicy> {
        let has_keys = self.server.is_some();
        let policies = rules::CachePolicy::ALL.into_iter();
        policies.filter(move |policy| has_keys || *policy != rules::CachePolicy::Keys)
    }

    /// The request policy of what is delivered: a bucket answers a preflight only if it sees what
    /// is asked in it.
    pub(super) fn request_policy(&self) -> Option<&'static str> {
        self.bucket
            .is_some()
            .then_some(rules::CORS_S3_REQUEST_POLICY)
    }

    /// The bucket, if it is to be made.
    pub(super) fn new_bucket(&self) -> Option<&Bucket> {
        self.bucket.as_ref().filter(|bucket| !bucket.exists)
    }

    /// The name of a resource.
    pub(super) fn named(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }
}
