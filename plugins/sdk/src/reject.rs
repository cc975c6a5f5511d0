//! Why a record was not mapped.

use std::borrow::Cow;
use std::fmt::Display;

/// Why a record was not mapped: skipped for a reason, or failed with an error that the user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub(crate) code: Option<Cow<'static, str>>,
    pub(crate) message: Cow<'static, str>,
    pub(crate) field: Option<Cow<'static, str>>,
}

impl Reject {
    /// The record failed: a stable `code` such as `email.invalid`, and a message for people.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: Some(code.into()), message: message.into(), field: None }
    }

    /// The record is not wanted, and that is no error.
    pub fn skip(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code: None, message: reason.into(), field: None }
    }

    /// Names the Salesforce field at fault.
    #[must_use]
    pub fn field(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(name.into());
        self
    }

    /// Whether the record is skipped rather than failed.
    pub fn is_skip(&self) -> bool {
        self.code.is_none()
    }
}

impl Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => write!(f, "skipped: {}", self.message),
        }
    }
}

impl std::error::Error for Reject {}

/// Turns a missing value or an error into a `Reject`.
pub trait OrReject<T>: Sized {
    /// Skips the record when there is no value.
    ///
    /// # Errors
    /// A skip with this reason.
    fn or_skip(self, reason: impl Into<Cow<'static, str>>) -> Result<T, Reject>;

    /// Fails the record when there is no value; what an error says is added to the message.
    ///
    /// # Errors
    /// A failure with this code and message.
    fn or_reject(
        self,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Result<T, Reject>;
}

impl<T> OrReject<T> for Option<T> {
    #[inline]
    fn or_skip(self, reason: impl Into<Cow<'static, str>>) -> Result<T, Reject> {
        self.ok_or_else(|| Reject::skip(reason))
    }

    #[inline]
    fn or_reject(
        self,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Result<T, Reject> {
        self.ok_or_else(|| Reject::new(code, message))
    }
}

impl<T, E: Display> OrReject<T> for Result<T, E> {
    #[inline]
    fn or_skip(self, reason: impl Into<Cow<'static, str>>) -> Result<T, Reject> {
        self.map_err(|_| Reject::skip(reason))
    }

    #[inline]
    fn or_reject(
        self,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Result<T, Reject> {
        self.map_err(|error| Reject::new(code, format!("{}: {error}", message.into())))
    }
}
