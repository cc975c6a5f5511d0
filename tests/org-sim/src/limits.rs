//! The org's API allowance: a rolling 24-hour counter, the usage header and the `/limits` answer.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// Calls counted in the last 24 hours, by the second, so memory is bounded by the window and not by the traffic.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    seconds: VecDeque<(Timestamp, u64)>,
    used: u64,
    ever: u64,
}

impl Usage {
    /// Calls in the 24 hours up to `now`.
    pub(crate) fn used(&mut self, now: Timestamp) -> u64 {
        while let Some((at, calls)) = self.seconds.front().copied() {
            if now.duration_since(at) < WINDOW {
                break;
            }
            self.used -= calls;
            self.seconds.pop_front();
        }
        self.used
    }

    /// Adds calls whatever the limit; another application may overrun it too.
    pub(crate) fn add(&mut self, now: Timestamp, calls: u64) {
        self.used(now);
        let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
        match self.seconds.back_mut() {
            Some((at, n)) if *at >= second => *n += calls,
            _ => self.seconds.push_back((second, calls)),
        }
        self.used += calls;
        self.ever += calls;
    }

    /// Counts one call unless the allowance is spent; gives the calls of the last 24 hours with this one.
    pub(crate) fn take(&mut self, now: Timestamp, limit: u64) -> Option<u64> {
        if self.used(now) >= limit {
            return None;
        }
        self.add(now, 1);
        Some(self.used)
    }

    /// Every call since the org started, however long ago.
    pub(crate) fn ever(&self) -> u64 {
        self.ever
    }
}

/// The value of `Sforce-Limit-Info`; the true count is known only `lag` calls later.
pub(crate) fn header(used: u64, limit: u64, lag: u64) -> String {
    format!("api-usage={}/{limit}", used.saturating_sub(lag))
}

/// The `/limits` answer of a 2026 Developer org, with the live count of calls.
pub(crate) fn body(used: u64, limit: u64) -> Value {
    let mut all = Map::new();
    for (name, max) in OTHERS {
        if name > "DailyApiRequests" && !all.contains_key("DailyApiRequests") {
            all.insert(
                "DailyApiRequests".to_owned(),
                json!({"Max": limit, "Remaining": limit.saturating_sub(used)}),
            );
        }
        all.insert(name.to_owned(), json!({"Max": max, "Remaining": max}));
    }
    Value::Object(all)
}

const OTHERS: [(&str, u64); 70] = [
    ("AnalyticsExternalDataSizeMB", 40_960),
    ("CdpAiInferenceApiMonthlyLimit", 500_000_000),
    ("ConcurrentAsyncGetReportInstances", 200),
    ("ConcurrentEinsteinDataInsightsStoryCreation", 5),
    ("ConcurrentEinsteinDiscoveryStoryCreation", 2),
    ("ConcurrentSyncReportRuns", 20),
    ("ContentDistBandwidthLimitMB", 51_200),
    ("ContentDistViewLimit", 50_000),
    ("ContentPublicationLimit", 2_500),
    ("DailyAnalyticsDataflowJobExecutions", 60),
    ("DailyAnalyticsUploadedFilesSizeMB", 51_200),
    ("DailyApexCursorLimit", 10_000),
    ("DailyApexCursorRowsLimit", 100_000_000),
    ("DailyApexPCursorLimit", 200_000),
    ("DailyAsyncApexExecutions", 250_000),
    ("DailyAsyncApexTests", 500),
    ("DailyBulkApiBatches", 15_000),
    ("DailyBulkV2QueryFileStorageMB", 976_562),
    ("DailyBulkV2QueryJobs", 10_000),
    ("DailyDeliveredPlatformEvents", 10_000),
    ("DailyDurableGenericStreamingApiEvents", 10_000),
    ("DailyDurableStreamingApiEvents", 10_000),
    ("DailyEinsteinDataInsightsStoryCreation", 1_000),
    ("DailyEinsteinDiscoveryOptimizationJobRuns", 25),
    ("DailyEinsteinDiscoveryPredictAPICalls", 50_000),
    ("DailyEinsteinDiscoveryPredictionsByCDC", 500_000),
    ("DailyEinsteinDiscoveryStoryCreation", 100),
    ("DailyFunctionsApiCallLimit", 50_000),
    ("DailyGenericStreamingApiEvents", 10_000),
    ("DailyMetadataRetrievesWithDependencies", 25),
    ("DailyServiceEmailAgentforceCalls", 5_000),
    ("DailyStandardVolumePlatformEvents", 10_000),
    ("DailyStreamingApiEvents", 10_000),
    ("DailyWorkflowEmails", 8_040),
    ("DataStorageMB", 5),
    ("DurableStreamingApiConcurrentClients", 20),
    ("ExternalServicesActiveObjects", 3_000),
    ("ExternalServicesActiveOperations", 3_000),
    ("ExternalServicesObjectProperties", 400_000),
    ("ExternalServicesObjects", 10_000),
    ("ExternalServicesOperations", 10_000),
    ("ExternalServicesRegistrations", 700),
    ("FileStorageMB", 20),
    ("HourlyAsyncReportRuns", 1_200),
    ("HourlyDashboardRefreshes", 200),
    ("HourlyDashboardResults", 5_000),
    ("HourlyDashboardStatuses", 999_999_999),
    ("HourlyElevateAsyncReportRuns", 1_200),
    ("HourlyElevateSyncReportRuns", 500),
    ("HourlyLongTermIdMapping", 100_000),
    ("HourlyManagedContentPublicRequests", 50_000),
    ("HourlyODataCallout", 1_000),
    ("HourlyPublishedPlatformEvents", 50_000),
    ("HourlyPublishedStandardVolumePlatformEvents", 1_000),
    ("HourlyShortTermIdMapping", 100_000),
    ("HourlySyncReportRuns", 500),
    ("HourlyTimeBasedWorkflow", 1_000),
    ("MassEmail", 10),
    ("MaxContentDocumentsLimit", 30_000_000),
    ("MonthlyEinsteinDiscoveryStoryCreation", 500),
    ("Package2VersionCreates", 6),
    ("Package2VersionCreatesWithoutValidation", 500),
    ("PermissionSets", 1_500),
    ("PlatformEventTriggersWithParallelProcessing", 5),
    ("PrivateConnectOutboundCalloutHourlyLimitMB", 0),
    ("PublishCallbackUsageInApex", 5_242_880),
    ("ScheduledFlowRunLimit", 250_000),
    ("ScheduledPathRunLimit", 250_000),
    ("SingleEmail", 15),
    ("StreamingApiConcurrentClients", 20),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_leave_the_window_after_24_hours() {
        let start: Timestamp = "2026-05-06T05:00:00Z".parse().unwrap();
        let mut usage = Usage::default();
        usage.add(start, 14_500);
        let evening = start + SignedDuration::from_hours(18);
        usage.add(evening, 499);
        assert_eq!(usage.take(evening, 15_000), Some(15_000));
        assert_eq!(usage.take(evening, 15_000), None);
        let next_day = start + SignedDuration::from_hours(24);
        assert_eq!(usage.used(next_day), 500);
        assert_eq!(usage.take(next_day, 15_000), Some(501));
        assert_eq!(usage.ever(), 15_001);
    }

    #[test]
    fn a_clock_that_steps_back_does_not_lose_calls() {
        let start: Timestamp = "2026-05-06T05:00:00Z".parse().unwrap();
        let mut usage = Usage::default();
        usage.add(start, 1);
        usage.add(start - SignedDuration::from_hours(1), 1);
        assert_eq!(usage.used(start), 2);
    }

    #[test]
    fn the_header_lags_and_the_body_does_not() {
        assert_eq!(header(12, 15_000, 5), "api-usage=7/15000");
        assert_eq!(header(2, 15_000, 5), "api-usage=0/15000");
        assert_eq!(
            body(12, 15_000)["DailyApiRequests"],
            json!({"Max": 15_000, "Remaining": 14_988})
        );
    }
}
