//! A whole library: every title under a folder packaged into one store, in a run that may be ended
//! at any instant and given again.
//!
//! ```text
//! sources     what is there: files, sidecar captions      sources.rs
//! catalogue   what was made of it: library.json           catalogue.rs
//! run         what is missing, made, several at a time    run.rs, title.rs
//! forecast    what it would cost; makes nothing           forecast.rs
//! ```
//!
//! What is declared is the folder and the policy; a run brings the store there. A title is done
//! when its catalogue entry speaks of the same file and the same policy and its record is there;
//! then nothing of it is read. It is stored under `v/{asset}`, whose name follows from the file's,
//! so the store can be served as it is, by us or by a CDN.

mod catalogue;
mod forecast;
mod name;
mod prices;
mod run;
mod sources;
mod title;

pub use catalogue::{CATALOGUE_NAME, Catalogue, Entry, Playback, State};
pub use forecast::{Forecast, TitleForecast, forecast};
pub use name::asset_id;
pub use prices::Prices;
pub use run::{Options, Outcome, Watcher, run};
pub use sources::{Filter, Found, Sidecar, Sources};
