//! The two calls of librdkafka that the `rdkafka` crate does not wrap. All `unsafe` code about Kafka is here.
#![expect(unsafe_code, reason = "calls into librdkafka; each with its argument")]

use rdkafka::bindings as ffi;
use rdkafka::client::{Client, ClientContext};
use std::ffi::{CStr, CString};
use std::time::Duration;

/// The low and high watermark of a partition as the client last heard them; never blocks. `None` before it heard any.
pub(crate) fn cached_watermarks<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partition: i32,
) -> Option<(u64, u64)> {
    let topic = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client outlives the call, `topic` ends in a zero byte, both pointers are to live integers that nobody else sees.
    let code = unsafe {
        ffi::rd_kafka_get_watermark_offsets(
            client.native_ptr(),
            topic.as_ptr(),
            partition,
            &raw mut low,
            &raw mut high,
        )
    };
    (code == ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR)
        .then(|| Some((u64::try_from(low).ok()?, u64::try_from(high).ok()?)))
        .flatten()
}

/// Frees what librdkafka gave, when it goes out of scope.
struct Owned<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: made from a pointer that librdkafka handed to us to be freed by exactly this function, once.
        unsafe { (self.1)(self.0) }
    }
}

impl<T> Owned<T> {
    fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> Option<Owned<T>> {
        (!pointer.is_null()).then_some(Owned(pointer, free))
    }
}

/// The id of a topic, which a topic made anew under the same name does not share. `None` if the broker does not tell within
/// `limit`. Blocks.
pub(crate) fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    limit: Duration,
) -> Option<String> {
    let name = CString::new(topic).ok()?;
    let mut names = [name.as_ptr()];
    let limit_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: every pointer passed is live during the call: the client is borrowed, `names` is an array of one string, and the
    // rest came from librdkafka and is checked for null and freed by `Owned`. The request copies names and options. The queue is
    // ours alone. Pointers read out of the event are used only while `event` lives.
    unsafe {
        let rk = client.native_ptr();
        let topics = Owned::new(
            ffi::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1),
            ffi::rd_kafka_TopicCollection_destroy,
        )?;
        let options = Owned::new(
            ffi::rd_kafka_AdminOptions_new(
                rk,
                ffi::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            ),
            ffi::rd_kafka_AdminOptions_destroy,
        )?;
        ffi::rd_kafka_AdminOptions_set_request_timeout(
            options.0,
            limit_ms,
            std::ptr::null_mut(),
            0,
        );
        let queue = Owned::new(ffi::rd_kafka_queue_new(rk), ffi::rd_kafka_queue_destroy)?;
        ffi::rd_kafka_DescribeTopics(rk, topics.0, options.0, queue.0);
        let event = Owned::new(
            ffi::rd_kafka_queue_poll(queue.0, limit_ms.saturating_add(500)),
            ffi::rd_kafka_event_destroy,
        )?;
        let result = ffi::rd_kafka_event_DescribeTopics_result(event.0);
        if result.is_null() {
            return None;
        }
        let mut count = 0;
        let described = ffi::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if described.is_null() || count != 1 {
            return None;
        }
        let error = ffi::rd_kafka_TopicDescription_error(*described);
        let id = ffi::rd_kafka_TopicDescription_topic_id(*described);
        if id.is_null()
            || ffi::rd_kafka_error_code(error)
                != ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return None;
        }
        let text = ffi::rd_kafka_Uuid_base64str(id);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}
