//! What an operation is: a request, and how its answer is read.

use crate::error::Error;
use crate::request::Request;
use crate::response::Response;

/// An operation of the API. This crate has all that the contract has; others may add their own.
pub trait Operation {
    /// What it returns.
    type Output;

    /// Builds the request. It must be one that can be sent again after a lost answer.
    ///
    /// # Errors
    /// A value cannot be sent.
    fn request(&self) -> Result<Request, Error>;

    /// Reads the answer, which is a success.
    ///
    /// # Errors
    /// It is not what the operation returns.
    fn read(&self, response: &Response) -> Result<Self::Output, Error>;
}

/// A list whose pages follow each other.
pub trait Paged: Operation + Sized {
    /// Returns the request for the page that follows one; None after the last.
    fn following(&self, page: &Self::Output) -> Option<Self>;
}

/// A read that can be answered with "nothing has changed".
pub trait ConditionalRead: Operation {
    /// Returns what `if_none_match` is compared with, where the server does not compare it.
    fn version_of(&self, _output: &Self::Output) -> Option<u64> {
        None
    }
}

/// A read that returns None if the conversation is still at this version, or the record at this revision.
#[derive(Clone, Debug)]
pub struct IfChanged<O> {
    operation: O,
    version: u64,
}

impl<O> IfChanged<O> {
    pub(crate) fn new(operation: O, version: u64) -> Self {
        Self { operation, version }
    }
}

impl<O: ConditionalRead> Operation for IfChanged<O> {
    type Output = Option<O::Output>;

    fn request(&self) -> Result<Request, Error> {
        self.operation.request()?.header("if-none-match", &format!("\"{}\"", self.version))
    }

    fn read(&self, response: &Response) -> Result<Self::Output, Error> {
        if response.status == 304 {
            return Ok(None);
        }
        let output = self.operation.read(response)?;
        Ok(Some(output).filter(|output| self.operation.version_of(output) != Some(self.version)))
    }
}
