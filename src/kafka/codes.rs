//! What librdkafka's error codes mean to the engine; no I/O.

use crate::Kind;
use rdkafka::error::RDKafkaErrorCode as Code;

/// Whether librdkafka goes on by itself after `code`, so that a reader need only wait.
pub(crate) fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::WaitingForCoordinator
            | Code::NodeUpdate
            | Code::PollExceeded
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::RequestTimedOut
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::KafkaStorageError
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::Retry
    )
}

/// The kind of error that `code` is when it ends what was going on.
pub(crate) fn kind_of(code: Code) -> Kind {
    match code {
        Code::AutoOffsetReset
        | Code::OffsetOutOfRange
        | Code::LogTruncation
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition => Kind::SourceChanged,
        Code::BadMessage
        | Code::BadCompression
        | Code::InvalidMessage
        | Code::InvalidMessageSize
        | Code::MessageSizeTooLarge
        | Code::InvalidTimestamp
        | Code::InvalidRecord
        | Code::NotImplemented => Kind::Input,
        Code::Authentication
        | Code::SSL
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::InvalidTopic
        | Code::InvalidReplicationFactor
        | Code::InvalidPartitions
        | Code::InvalidConfig
        | Code::PolicyViolation
        | Code::InvalidTransactionTimeout
        | Code::InvalidArgument
        | Code::UnsupportedFeature
        | Code::UnsupportedVersion
        | Code::UnsupportedForMessageFormat => Kind::Config,
        _ => Kind::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_the_caller_should_do() {
        for (code, passing, kind) in [
            (Code::BrokerTransportFailure, true, Kind::Retry),
            (Code::AllBrokersDown, true, Kind::Retry),
            (Code::LeaderNotAvailable, true, Kind::Retry),
            (Code::AutoOffsetReset, false, Kind::SourceChanged),
            (Code::LogTruncation, false, Kind::SourceChanged),
            (Code::UnknownTopicOrPartition, false, Kind::SourceChanged),
            (Code::NotImplemented, false, Kind::Input),
            (Code::TopicAuthorizationFailed, false, Kind::Config),
            (Code::InvalidReplicationFactor, false, Kind::Config),
            (Code::UnknownProducerId, false, Kind::Retry),
        ] {
            assert_eq!((passes(code), kind_of(code)), (passing, kind), "{code:?}");
        }
    }
}
