//! All boards of a broker.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hone_device::backoff::Backoff;
use hone_device::telemetry::mqtt::{options, reason};
use hone_shared::telemetry::{BrokerAddress, Decoder};
use rumqttc::{
    AsyncClient, Event as Mqtt, Packet, Publish, QoS, SubAck, SubscribeFilter, SubscribeReasonCode,
};
use tokio::sync::mpsc::Sender;
use tokio_rustls::rustls::ClientConfig;

use super::http::decoded;
use super::{Event, News, Outlet, Over};

/// How a broker's certificate comes to be trusted.
const TRUST: &str = "give its fingerprint (--fingerprint), or the authorities (--authorities)";

pub(super) async fn follow(address: BrokerAddress, tls: Arc<ClientConfig>, events: Sender<Event>) {
    let name = address.place();
    let broker = Outlet::new(name.clone(), events.clone());
    let client = format!("hone-monitor-{:x}", RandomState::new().hash_one(0));
    let (client, mut connection) = AsyncClient::new(options(&address, &client, tls), 8);
    let mut backoff = Backoff::default();
    loop {
        let told = match connection.poll().await {
            Ok(Mqtt::Incoming(Packet::ConnAck(_))) => {
                let topics = [address.telemetry_topic("+"), address.status_topic("+")]
                    .map(|topic| SubscribeFilter::new(topic, QoS::AtLeastOnce));
                match client.try_subscribe_many(topics) {
                    Ok(()) => Ok(()),
                    Err(error) => broker.tell(News::Lost(error.to_string())).await,
                }
            }
            Ok(Mqtt::Incoming(Packet::SubAck(answer))) if lets_read(&answer) => {
                backoff.reset();
                broker.tell(News::Connected).await
            }
            Ok(Mqtt::Incoming(Packet::SubAck(_))) => {
                // It may be allowed later: the next connection asks again.
                connection.clean();
                let reason = format!("it lets us read no topic below {}", address.topic);
                lose(&broker, reason, &mut backoff).await
            }
            Ok(Mqtt::Incoming(Packet::Publish(publish))) => {
                tell(&address, &name, &publish, &events).await
            }
            Ok(_) if events.is_closed() => Err(Over),
            Ok(_) => Ok(()),
            Err(error) => lose(&broker, reason(&error, TRUST), &mut backoff).await,
        };
        if told.is_err() {
            return;
        }
    }
}

/// Whether a broker will bring the boards' messages; one that keeps only their status to itself is of use.
fn lets_read(answer: &SubAck) -> bool {
    let telemetry = answer.return_codes.first();
    matches!(telemetry, Some(SubscribeReasonCode::Success(_)))
}

/// Tells why there is no connection, and waits before the next.
async fn lose(broker: &Outlet, reason: String, backoff: &mut Backoff) -> Result<(), Over> {
    let told = broker.tell(News::Lost(reason)).await;
    tokio::time::sleep(backoff.wait()).await;
    told
}

/// Tells what came under a topic; one that is not ours is left alone.
async fn tell(
    address: &BrokerAddress,
    broker: &str,
    publish: &Publish,
    events: &Sender<Event>,
) -> Result<(), Over> {
    let rest = publish.topic.strip_prefix(&address.topic);
    let Some((board, kind)) = rest
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|rest| rest.rsplit_once('/'))
    else {
        return Ok(());
    };
    let outlet = Outlet::new(format!("{broker}/{board}"), events.clone());
    if kind == "status" {
        let online = publish.payload == BrokerAddress::ONLINE.as_bytes();
        return outlet.tell(News::Online(online)).await;
    }
    // A message of its own: nothing of the one before matters.
    for news in decoded(&mut Decoder::default(), &publish.payload) {
        outlet.tell(news).await?;
    }
    Ok(())
}
