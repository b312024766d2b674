//! The parameters that many operations have.

/// A write that may depend on the version or revision of what it changes.
macro_rules! conditional {
    ($operation:ty) => {
        impl Call<$operation> {
            /// Writes only if what is changed is at this version or revision, or with [`Match::Any`] if it is there. Otherwise
            /// nothing is stored, and the error is a [`VersionMismatch`](crate::Error::VersionMismatch) or a
            /// [`RevisionMismatch`](crate::Error::RevisionMismatch).
            pub fn if_match(mut self, version: impl Into<Match>) -> Self {
                self.operation.condition = Some(Condition::Is(version.into()));
                self
            }
        }
    };
}

/// A write that may depend on that there is nothing yet.
macro_rules! creating {
    ($operation:ty) => {
        impl Call<$operation> {
            /// Writes only if there is no such conversation, or no such record.
            pub fn if_absent(mut self) -> Self {
                self.operation.condition = Some(Condition::IsAbsent);
                self
            }
        }
    };
}

/// A write that changes what is there and creates what is not, and may depend on either.
macro_rules! upserting {
    ($operation:ty) => {
        creating!($operation);

        impl Call<$operation> {
            /// Writes only if what is changed is at this version or revision, or with [`Match::Any`] if it is there; at 0 only if there is
            /// none. Otherwise nothing is stored, and the error is a [`VersionMismatch`](crate::Error::VersionMismatch) or a
            /// [`RevisionMismatch`](crate::Error::RevisionMismatch).
            pub fn if_match(mut self, version: impl Into<Match>) -> Self {
                self.operation.condition = Some(Condition::or_absent(version.into()));
                self
            }
        }
    };
}

/// A write that takes effect once.
macro_rules! keyed {
    ($operation:ty) => {
        impl Call<$operation> {
            /// Sets the `Idempotency-Key`, for a write that another process may repeat. Without it every call has a new one.
            pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
                self.operation.idempotency = Key::Given(key.into());
                self
            }
        }
    };
}

/// A write that may do without a key.
macro_rules! repeatable {
    ($operation:ty) => {
        impl Call<$operation> {
            /// Sends no `Idempotency-Key`, which the server would keep as long as the conversation, or for seven days if the records are the
            /// owner's. A retry then does the same again: right where a record has one writer or one value.
            pub fn without_idempotency_key(mut self) -> Self {
                self.operation.idempotency = Key::None;
                self
            }
        }
    };
}

/// An operation on the conversations that are found by a filter.
macro_rules! filtered {
    ($operation:ty) => {
        impl Call<$operation> {
            /// Takes only conversations whose metadata has this pair, and those of earlier calls of this method.
            pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
                self.operation.filter.metadata.push((name.into(), value.into()));
                self
            }

            /// Takes only the forks of this conversation.
            pub fn forked_from(mut self, id: impl Into<String>) -> Self {
                self.operation.filter.forked_from = Some(id.into());
                self
            }

            /// Sets whether conversations that are archived are taken; by default they are left out.
            pub fn archived(mut self, archived: Archived) -> Self {
                self.operation.filter.archived = Some(archived);
                self
            }
        }
    };
}

pub(super) use {conditional, creating, filtered, keyed, repeatable, upserting};
