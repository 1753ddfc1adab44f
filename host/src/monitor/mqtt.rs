//! All boards of a broker.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hone_device::backoff::Backoff;
use hone_device::telemetry::mqtt::{options, reason};
use hone_shared::telemetry::{BrokerAddress, Decoder, MAX_FRAME};
use rumqttc::{
    AsyncClient, Event as Mqtt, Packet, Publish, QoS, SubAck, SubscribeFilter, SubscribeReasonCode,
};
use tokio::sync::mpsc::Sender;
use tokio_rustls::rustls::ClientConfig;

use super::http::decoded;
use super::{Event, News, Outlet, Over, TRUST};

/// Longest packet that a broker may bring, in bytes: the longest of MQTT. One that is longer ends the connection, each time
/// anew when it is retained, and anybody who may publish below our topics can have one retained.
const LONGEST: usize = 256 << 20;
/// Most that is looked at of a message, in bytes; a board sends one frame in each.
const LOOKED_AT: usize = 10 * MAX_FRAME;

pub(super) async fn follow(address: BrokerAddress, tls: Arc<ClientConfig>, events: Sender<Event>) {
    let name = address.place();
    let broker = Outlet::new(name.clone(), events.clone());
    let client = format!("hone-monitor-{:x}", RandomState::new().hash_one(0));
    let mut options = options(&address, &client, tls);
    // What we send ourselves is short.
    options.set_max_packet_size(LONGEST, LOOKED_AT);
    let (client, mut connection) = AsyncClient::new(options, 8);
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
        // An empty one is how a retained message is taken back.
        return outlet
            .tell(match &publish.payload[..] {
                b"" => News::Forgotten,
                status => News::Online(status == BrokerAddress::ONLINE.as_bytes()),
            })
            .await;
    }
    // A message of its own: nothing of the one before matters.
    let looked_at = &publish.payload[..publish.payload.len().min(LOOKED_AT)];
    for news in decoded(&mut Decoder::default(), looked_at) {
        outlet.tell(news).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use hone_device::telemetry::tls;

    use super::*;

    /// A PUBLISH without acknowledgement; of less than 2 MiB.
    fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
        let topic = [&(topic.len() as u16).to_be_bytes(), topic.as_bytes()].concat();
        let rest = topic.len() + payload.len();
        let length = [rest | 0x80, rest >> 7 | 0x80, rest >> 14].map(|part| part as u8);
        [&[0x30][..], &length, &topic, payload].concat()
    }

    /// A broker that brings its only client `messages`, and waits until it leaves.
    fn broker(listener: &TcpListener, messages: &[Vec<u8>]) {
        let (mut client, _) = listener.accept().unwrap();
        let hear = |client: &mut TcpStream| {
            let mut packet = [0; 512];
            assert!(client.read(&mut packet).unwrap() > 4);
            packet
        };
        hear(&mut client);
        client.write_all(&[0x20, 2, 0, 0]).unwrap();
        let asked = hear(&mut client);
        let granted = [0x90, 4, asked[2], asked[3], 1, 1];
        client.write_all(&granted).unwrap();
        client.write_all(&messages.concat()).unwrap();
        while client.read(&mut [0; 512]).is_ok_and(|length| length > 0) {}
    }

    #[test]
    fn a_message_of_any_length_keeps_the_connection() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let messages = [
            publish("hone/odd/telemetry", &vec![b'x'; 1 << 20]),
            publish("hone/odd/telemetry", &b"x\0".repeat(1 << 19)),
            publish("hone/gone/status", b""),
            publish("hone/north/status", b"online"),
        ];
        std::thread::spawn(move || broker(&listener, &messages));
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let news = runtime.block_on(async {
            let address = format!("mqtt://127.0.0.1:{port}").parse().unwrap();
            let (events, mut heard) = tokio::sync::mpsc::channel(8);
            tokio::spawn(follow(address, tls::client(None, &[]).unwrap(), events));
            let mut news = Vec::new();
            while !news.contains(&News::Online(true)) {
                let event = tokio::time::timeout(Duration::from_secs(60), heard.recv()).await;
                news.push(event.unwrap().unwrap().news);
            }
            news
        });
        assert_eq!(news[0], News::Connected);
        assert!(matches!(&news[1], News::Damaged(why) if why.contains("without an end")));
        assert!(news.contains(&News::Forgotten));
        let lost = news.iter().any(|news| matches!(news, News::Lost(_)));
        assert!(!lost && news.len() < LOOKED_AT, "{}", news.len());
    }
}
