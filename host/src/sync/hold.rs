//! The connection in the hand of a run, and how the run moves to another one when Salesforce no longer takes it.

use crate::events::Event;
use crate::model::{ConnectionName, RunId};
use crate::salesforce::Lease;
use crate::store;

use super::job::NOTES_KEPT;
use super::{Error, Job};

/// What a run reads with.
pub(super) struct Hold {
    name: ConnectionName,
    lease: Option<Lease>,
    /// Connections that this run need not try again.
    tried: Vec<ConnectionName>,
}

impl Hold {
    /// Draws a connection for a run of the job's sync.
    pub(super) fn draw(job: &Job) -> Self {
        let sync = &job.sync;
        let lease = job.org.draw(&sync.connections, sync.failover, &[]);
        let name = lease.as_ref().map_or(&sync.connections.first, |lease| lease.name()).clone();
        Self { name, lease, tried: Vec::new() }
    }

    /// The connection's name.
    pub(super) fn name(&self) -> &ConnectionName {
        &self.name
    }

    /// Says in the run when its connection stands in for the sync's own.
    pub(super) fn say(&self, job: &Job, run: RunId) -> Result<(), store::Error> {
        match self.lease.as_ref().and_then(|lease| lease.instead_of.clone()) {
            Some(from) => moved(job, run, &from, &self.name, "it cannot be used at present"),
            None => Ok(()),
        }
    }

    /// Moves on to another connection when this one must be authorised again and the sync may use another. False when
    /// there is none.
    pub(super) fn move_on(
        &mut self,
        job: &Job,
        run: RunId,
        error: &Error,
    ) -> Result<bool, store::Error> {
        let Error::Salesforce(error) = error else { return Ok(false) };
        if !error.waits_for_consent() {
            return Ok(false);
        }
        self.tried.push(self.name.clone());
        let sync = &job.sync;
        let Some(next) = job.org.draw(&sync.connections, sync.failover, &self.tried) else {
            return Ok(false);
        };
        let from = std::mem::replace(&mut self.name, next.name().clone());
        self.lease = Some(next);
        moved(job, run, &from, &self.name, &error.to_string())?;
        Ok(true)
    }
}

/// Tells, in the run and to everybody, that another connection goes on.
fn moved(
    job: &Job,
    run: RunId,
    from: &ConnectionName,
    to: &ConnectionName,
    reason: &str,
) -> Result<(), store::Error> {
    let note = format!(
        "reads through '{to}' instead of '{from}': {reason}. Another user may see other fields and records: what only \
         '{from}' sees is not read meanwhile."
    );
    job.store.update_run(run, |run| {
        run.connection = to.clone();
        run.notes.push(note);
        run.notes.truncate(NOTES_KEPT);
    })?;
    job.bus.emit(Event::SyncMoved {
        run,
        sync: job.sync.name.clone(),
        from: from.clone(),
        to: to.clone(),
        reason: reason.to_owned(),
    });
    Ok(())
}
