//! One order, from the account to the chain (RFC 8555, 7).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, ChallengeType, Error as Failure, Identifier,
    NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rustls::crypto::CryptoProvider;

use super::folder::{ACCOUNT, Folder};
use super::options::Options;
use super::requests::Requests;
use crate::error::{Error, ErrorKind, Result};
use crate::tls::challenge::{Answer, Challenges};

/// How long the CA may take, first to look at the challenges and then to sign.
const PATIENCE: Duration = Duration::from_secs(180);

/// All that an order needs.
#[derive(Debug)]
pub(super) struct Orders<'a> {
    pub(super) options: &'a Options,
    pub(super) folder: &'a Folder,
    pub(super) challenges: &'a Challenges,
    pub(super) provider: &'a CryptoProvider,
}

impl Orders<'_> {
    /// Has the CA sign a new key; key and chain as PEM.
    ///
    /// # Errors
    /// [`ErrorKind::Exhausted`] if the CA says that it was asked too often.
    pub(super) async fn certificate(&self) -> Result<String> {
        let account = self.account().await?;
        let names: Vec<_> = self
            .options
            .names()
            .into_iter()
            .map(Identifier::Dns)
            .collect();
        let order = account.new_order(&NewOrder::new(&names)).await;
        let mut order = match order {
            Ok(order) => order,
            Err(e) => return Err(self.forget_account(e)),
        };
        self.prove(&mut order).await?;
        let key = order.finalize().await.map_err(failed)?;
        let patience = RetryPolicy::default().timeout(PATIENCE);
        let chain = order.poll_certificate(&patience).await.map_err(failed)?;
        Ok(key + &chain)
    }

    /// The account that is kept, or a new one.
    async fn account(&self) -> Result<Account> {
        let requests = Requests::new(self.options.directory_ca.as_deref())?;
        let builder = Account::builder_with_http(Box::new(requests));
        if let Some(text) = self.folder.read(ACCOUNT)? {
            let path = self.folder.path_of(ACCOUNT);
            let kept = serde_json::from_str(&text).map_err(|e| {
                let message = format!("{}: damaged; remove it", path.display());
                Error::invalid(message).with_source(e)
            })?;
            return builder.from_credentials(kept).await.map_err(failed);
        }
        let contact: Vec<_> = self
            .options
            .contact
            .iter()
            .map(|to| format!("mailto:{to}"))
            .collect();
        let contact: Vec<_> = contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: self.options.accept_terms,
            only_return_existing: false,
        };
        let created = builder.create(&new, self.options.directory.clone(), None);
        let (account, kept) = created.await.map_err(failed)?;
        let text = serde_json::to_string(&kept)
            .map_err(|e| Error::internal(format!("the ACME account can't be kept: {e}")))?;
        self.folder.keep(ACCOUNT, text).await?;
        Ok(account)
    }

    /// If the CA no longer knows the account, the next order makes a new one.
    fn forget_account(&self, failure: Failure) -> Error {
        let is_unknown = is_problem(&failure, "accountDoesNotExist");
        let error = failed(failure);
        match is_unknown.then(|| self.folder.remove(ACCOUNT)) {
            Some(Err(e)) => e,
            _ => error,
        }
    }

    /// Shows the CA that every name is ours.
    async fn prove(&self, order: &mut Order) -> Result<()> {
        // The answers are there until the CA has looked.
        let mut answers = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(failed)?;
            answers.extend(self.answer(&mut authorization).await?);
        }
        let patience = RetryPolicy::default().timeout(PATIENCE);
        let status = order.poll_ready(&patience).await.map_err(failed)?;
        match status {
            OrderStatus::Ready => Ok(()),
            _ => Err(why_refused(order).await),
        }
    }

    /// Has the answer for one name ready and says so; `None` if the CA knows already.
    async fn answer<'a>(
        &self,
        authorization: &'a mut AuthorizationHandle<'a>,
    ) -> Result<Option<Answer>> {
        if authorization.status == AuthorizationStatus::Valid {
            return Ok(None);
        }
        let domain = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
            return Err(Error::unsupported(format!(
                "the CA doesn't offer to look at {domain} by tls-alpn-01"
            )));
        };
        let digest = challenge.key_authorization().digest();
        let answer = self
            .challenges
            .prepare(&domain, digest.as_ref(), self.provider)?;
        challenge.set_ready().await.map_err(failed)?;
        Ok(Some(answer))
    }
}

/// What the CA found when it looked.
async fn why_refused(order: &mut Order) -> Error {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let domain = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        let found = state.challenges.iter().find_map(|c| c.error.as_ref());
        if let Some(problem) = found {
            let message = format!("the CA looked at port 443 of {domain}: {problem}");
            return Error::new(ErrorKind::Unavailable, message);
        }
    }
    Error::new(ErrorKind::Unavailable, "the CA refused the order")
}

fn failed(failure: Failure) -> Error {
    let kind = match is_problem(&failure, "rateLimited") {
        true => ErrorKind::Exhausted,
        false => ErrorKind::Unavailable,
    };
    Error::new(kind, failure.to_string())
}

/// Whether the CA answered with this problem (RFC 8555, 6.7).
fn is_problem(failure: &Failure, name: &str) -> bool {
    let Failure::Api(problem) = failure else {
        return false;
    };
    let kind = problem.r#type.as_deref().unwrap_or_default();
    kind.strip_prefix("urn:ietf:params:acme:error:") == Some(name)
}
