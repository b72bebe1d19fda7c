//! How sources come in: raw bodies, multipart forms, tus uploads, pulls from a URL.
