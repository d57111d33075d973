//! The job's doors for people and programs: status, views, subscriptions, commands, metrics. The only module that knows warp; it decides
//! nothing about ticks and touches no worker.
