//! A source in a form (RFC 7578): the field `file` holds it; `title` and `policy` may stand beside
//! it. Other fields are read over.

#![expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::intake::Sink;
use super::refusal::Refusal;
use super::request::title_of_file;

/// Longest value of a text field, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Most fields of a form.
const FIELDS_MAX: usize = 32;

/// What a form said beside its file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The field `title`.
    pub(super) title: Option<String>,
    /// The field `policy`.
    pub(super) policy: Option<String>,
    /// The title that the file's name makes.
    pub(super) file_title: String,
}

impl From<MultipartError> for Refusal {
    fn from(error: MultipartError) -> Self {
        match error {
            MultipartError::Payload(error) => Self::from_payload(error),
            other => Self::Malformed(format!("the form: {other}")),
        }
    }
}

/// Reads a form to its end; the bytes of its file go into `sink`.
pub(super) async fn read<S>(headers: &HeaderMap, body: S, sink: &mut Sink) -> Result<Said, Refusal>
where
    S: Stream<Item = Result<Bytes, actix_web::error::PayloadError>> + 'static,
{
    let mut form = Multipart::new(headers, body);
    let mut said = Said::default();
    let (mut fields, mut files) = (0, 0);
    while let Some(field) = form.next().await {
        let mut field = field?;
        fields += 1;
        if fields > FIELDS_MAX {
            let message = format!("the form has more than {FIELDS_MAX} fields");
            return Err(Refusal::Malformed(message));
        }
        match field.name().unwrap_or_default() {
            "title" => said.title = Some(text(&mut field).await?),
            "policy" => said.policy = Some(text(&mut field).await?),
            "file" if files == 0 => {
                files += 1;
                let name = field.content_disposition().and_then(|d| d.get_filename());
                said.file_title = title_of_file(name.unwrap_or_default());
                sink.receive(field).await?;
            }
            "file" => {
                let message = "the form has two files; upload each on its own".to_owned();
                return Err(Refusal::Malformed(message));
            }
            _ => skip(&mut field).await?,
        }
    }
    if files == 0 {
        let message = "the form has no field `file`".to_owned();
        return Err(Refusal::Malformed(message));
    }
    Ok(said)
}

async fn text(field: &mut Field) -> Result<String, Refusal> {
    let mut bytes = Vec::new();
    while let Some(more) = field.next().await {
        bytes.extend_from_slice(&more?);
        if bytes.len() > TEXT_BYTES_MAX {
            let message = format!("a text field of the form is over {TEXT_BYTES_MAX} bytes long");
            return Err(Refusal::Malformed(message));
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| Refusal::Malformed("a text field of the form isn't UTF-8".to_owned()))
}

async fn skip(field: &mut Field) -> Result<(), Refusal> {
    while let Some(more) = field.next().await {
        more?;
    }
    Ok(())
}
