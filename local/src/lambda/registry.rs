//! The functions of a host, by name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::function::Function;
use super::host::{Host, lock};

/// The functions that have been named so far.
#[derive(Debug)]
pub(super) struct Registry {
    host: Arc<Host>,
    functions: Mutex<HashMap<String, Arc<Function>>>,
}

impl Registry {
    pub(super) fn new(host: Arc<Host>) -> Self {
        Self { host, functions: Mutex::default() }
    }

    pub(super) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Returns the function of a name, whether or not there is a program for it.
    pub(super) fn function(&self, name: &str) -> Arc<Function> {
        let mut functions = lock(&self.functions);
        let function = functions.entry(name.to_owned()).or_insert_with(|| Arc::new(Function::new(name)));
        Arc::clone(function)
    }
}
