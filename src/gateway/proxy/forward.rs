//! An admitted request to its upstream, and the answer back: two pipes that run at the same time, a piece in each.

use super::Proxy;
use super::answer::ClientAnswer;
use super::body::RequestBody;
use super::context::{Admitted, RequestContext};
use super::failure::{Cause, Failure};
use super::outgoing::{self, Outgoing};
use super::pace::Pace;
use super::peer::{Event, Reader, Taken, Writer};
use super::progress::Progress;
use super::served::Served;
use super::wire::{self, Body};
use crate::gateway::base::limits::Limit;
use crate::gateway::live::connection::InFlight;
use crate::gateway::request::upstream::{Key, Lease, NoPeer};
use http::header::EXPECT;
use http::{Method, StatusCode};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::{RequestHeader, ResponseHeader};
use std::future::pending;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::{sleep, sleep_until, timeout};

/// Interim answers to one request: an application has a few hints to give.
const MAX_INTERIM: usize = 16;

/// How long what was written of an answer waits for more of it: a header for the body behind it.
const FLUSH_AFTER: Duration = Duration::from_millis(10);

/// One request on its way.
pub(super) struct Forwarding<'a> {
    pub(super) proxy: &'a Proxy,
    pub(super) served: &'a Served,
    pub(super) admitted: &'a Admitted,
    pub(super) request: &'a RequestHeader,
    /// It asks for another protocol.
    websocket: bool,
    bodiless: bool,
}

impl<'a> Forwarding<'a> {
    pub(super) fn new(
        proxy: &'a Proxy,
        served: &'a Served,
        admitted: &'a Admitted,
        request: &'a RequestHeader,
        body: &mut RequestBody,
        answer: &mut ClientAnswer,
    ) -> Self {
        let bodiless = body.is_done();
        let websocket = bodiless && wire::asks_for_websocket(request.version, &request.headers);
        if websocket {
            // What follows is for the other protocol, and no request should the upstream not agree.
            answer.close();
            body.become_raw();
        }
        Self { proxy, served, admitted, request, websocket, bodiless }
    }

    /// Sends the request and passes the answer on. A safe request without a body goes to another peer when one cannot be
    /// connected to, and once again when a kept connection turns out to have ended.
    ///
    /// # Errors
    /// Why it ended before the answer did.
    pub(super) async fn run(
        &self,
        ctx: &mut RequestContext,
        body: &mut RequestBody,
        answer: &mut ClientAnswer,
    ) -> Result<(), Failure> {
        let deadline = ctx.deadline();
        let again = self.request.method.is_safe() && self.bodiless;
        let mut fresh = self.websocket;
        loop {
            let (peer, http2) = self.choose(ctx)?;
            let lease = ctx.lease.as_ref().ok_or_else(|| Failure::new(Cause::Internal, "no lease"))?;
            let connected = tokio::select! {
                biased;
                connected = self.connect(lease, &peer, http2, fresh) => connected,
                failure = gone(body, answer) => return Err(failure),
                () = at(deadline) => return Err(passed(false)),
            };
            let taken = match connected {
                Ok(taken) => taken,
                Err(failure) => {
                    // Nothing was sent; still only safe methods go elsewhere (RFC 9110 section 9.2.2).
                    ctx.tried.push(lease.address.clone());
                    let pool = &self.admitted.pool;
                    let goes_on = self.request.method.is_safe()
                        && matches!(failure.cause, Cause::Connect { .. })
                        && ctx.tried.len() <= pool.config().retries
                        // Without another peer this failure is the answer, and not that there is none left.
                        && pool.has_another(&ctx.tried);
                    if !goes_on {
                        return Err(failure);
                    }
                    self.count(&failure);
                    ctx.lease = None;
                    continue;
                }
            };
            let reused = taken.reused;
            match self.exchange(taken, &peer, ctx, body, answer).await {
                Err(failure)
                    if again && reused && !fresh && matches!(failure.cause, Cause::UpstreamBroken { unused: true }) =>
                {
                    self.count(&failure);
                    fresh = true;
                }
                outcome => return outcome,
            }
        }
    }

    /// Counts what an upstream failed in.
    pub(super) fn count(&self, failure: &Failure) {
        if let Some(kind) = failure.upstream_kind() {
            self.proxy.gateway.metrics.upstream_errors_total(&self.admitted.pool.config().name, kind).inc();
        }
    }

    fn choose(&self, ctx: &mut RequestContext) -> Result<(HttpPeer, bool), Failure> {
        let pool = &self.admitted.pool;
        let contract = self.admitted.client.verified().and_then(|client| client.identity().contract_id());
        let key = contract.map_or(Key::Address(self.served.connection.peer.ip()), Key::Contract);
        let lease = pool.choose(key, &ctx.tried).map_err(|none| match none {
            NoPeer::Unhealthy => Failure::new(Cause::NoPeer, "no healthy peer"),
            NoPeer::Busy(limit) => Failure::new(Cause::Busy(limit), format!("{limit} of pool {}", pool.config().name)),
        })?;
        let client = self.served.connection.id;
        let peer = if self.websocket { pool.upgrade_peer(&lease, client) } else { pool.peer(&lease, client) };
        ctx.lease = Some(lease);
        Ok((peer, pool.config().http2 && !self.websocket))
    }

    async fn connect(&self, lease: &Lease, peer: &HttpPeer, http2: bool, fresh: bool) -> Result<Taken, Failure> {
        let upstreams = &self.proxy.upstreams;
        // One that is found to have ended is none.
        if !fresh && let Ok(Some(kept)) = upstreams.kept(peer, http2).await {
            return Ok(kept);
        }
        let patience = self.admitted.pool.config().connect_timeout;
        let turn = async |places: &std::sync::Arc<tokio::sync::Semaphore>, limit| {
            let permit = timeout(patience, places.clone().acquire_owned()).await;
            permit.map_err(|_| Failure::new(Cause::Busy(limit), format!("{limit}: {peer}")))
        };
        let _ours = turn(&self.served.opening, Limit::ConnectionsOpeningPerConnection).await?;
        let _theirs = turn(&lease.opening, Limit::ConnectionsOpeningPerPeer).await?;
        let opened = upstreams.open(peer, http2).await.map_err(|error| Failure::of_connecting(&error))?;
        if !self.admitted.pool.config().share_connections {
            self.served.own.opened(peer, opened.is_http2());
        }
        Ok(opened)
    }

    async fn exchange(
        &self,
        taken: Taken,
        peer: &HttpPeer,
        ctx: &mut RequestContext,
        body: &mut RequestBody,
        answer: &mut ClientAnswer,
    ) -> Result<(), Failure> {
        self.still_connected()?;
        let (reused, config) = (taken.reused, self.admitted.pool.config());
        let Outgoing { head, framing } =
            outgoing::request(self, ctx, taken.is_http2(), peer, self.bodiless, self.websocket)?;
        let sent = timeout(config.write_timeout, taken.send(head, framing)).await;
        let (mut writer, mut reader) = sent
            .map_err(|_| Failure::new(Cause::UpstreamSlow, format!("peer {peer} takes no header")))?
            .map_err(|error| Failure::of_upstream(&error.more_context(format!("peer {peer}")), reused))?;
        let progress = Progress::new(self.bodiless, self.request.headers.contains_key(EXPECT));
        let (agree, agreed) = oneshot::channel();
        let deadline = ctx.deadline();
        let mut in_flight = ctx.in_flight.take();
        let outcome = {
            let sending = self.send(body, &mut writer, &progress, ctx, &mut in_flight, agreed);
            let answering = self.answer(&mut reader, answer, &progress, ctx, reused, agree);
            tokio::pin!(sending, answering);
            tokio::select! {
                biased;
                answered = &mut answering => answered,
                // Ends by itself only when the client is gone or failed, or an upgraded connection ended.
                sent = &mut sending => sent.map(|()| Answered { upgraded: true }),
                () = progress.overdue(at(deadline)) => Err(passed(!progress.is_whole())),
            }
        };
        ctx.in_flight = in_flight;
        let answered = outcome.map_err(|failure| failure.at(peer))?;
        ctx.upgraded = answered.upgraded;
        if answered.upgraded {
            // In good order, if the client is still there.
            let _ = answer.end(None).await;
        }
        // Nobody takes the connection of an upgrade that was declined where the pool's others speak HTTP/2.
        if !answered.upgraded && !self.websocket && answer.ended && progress.is_whole() {
            self.proxy.upstreams.keep(reader, writer, peer, config.idle_timeout).await;
        }
        Ok(())
    }

    /// The request's pipe. Ends when the client is gone or fails, or when an upgraded connection does.
    async fn send(
        &self,
        body: &mut RequestBody,
        writer: &mut Writer,
        progress: &Progress,
        ctx: &RequestContext,
        in_flight: &mut Option<InFlight>,
        agreed: oneshot::Receiver<()>,
    ) -> Result<(), Failure> {
        let whole = |in_flight: &mut Option<InFlight>| {
            progress.set_whole();
            if let Some(in_flight) = in_flight {
                in_flight.sent(self.admitted.finish);
            }
        };
        if self.websocket {
            // Nothing goes on before the upstream has agreed.
            let agreed = tokio::select! {
                agreed = agreed => agreed.is_ok(),
                failure = body.gone() => return Err(failure),
            };
            if agreed {
                writer.become_raw();
                while let Some(piece) = body.next().await? {
                    self.still_connected()?;
                    // An application that reads no more would otherwise hold the connection longer than its client.
                    taken_in_time(self.admitted.pool.config().write_timeout, writer.piece(piece)).await?;
                }
                return Ok(());
            }
        } else if self.bodiless {
            whole(in_flight);
        } else {
            match self.send_body(body, writer, progress, ctx).await {
                Ok(()) => whole(in_flight),
                Err(failure) if matches!(failure.cause, Cause::UpstreamBroken { .. } | Cause::UpstreamSlow) => {
                    progress.refuse(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(body.gone().await)
    }

    async fn send_body(
        &self,
        body: &mut RequestBody,
        writer: &mut Writer,
        progress: &Progress,
        ctx: &RequestContext,
    ) -> Result<(), Failure> {
        let limits = &ctx.snapshot.config.limits;
        let mut pace = Pace::new(limits);
        let mut bytes = 0_u64;
        let patience = self.admitted.pool.config().write_timeout;
        while let Some(piece) = pace.waiting_for(progress.waiting_for_client(body.next())).await? {
            pace.moved(piece.len())?;
            bytes = bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if bytes > limits.request_body_bytes {
                return Err(Failure::new(
                    Cause::BodyTooLarge,
                    format!("more than {} bytes", limits.request_body_bytes),
                ));
            }
            self.still_connected()?;
            let _held = self.proxy.places.hold(piece.len());
            taken_in_time(patience, writer.piece(piece)).await?;
            progress.moved();
            // By its length: the client may tell its end later, and has no more to send.
            if writer.is_whole() {
                progress.set_whole();
            }
        }
        self.still_connected()?;
        taken_in_time(patience, writer.end()).await?;
        progress.moved();
        Ok(())
    }

    /// The answer's pipe: reads a piece when the client has taken the last one.
    async fn answer(
        &self,
        reader: &mut Reader,
        answer: &mut ClientAnswer,
        progress: &Progress,
        ctx: &RequestContext,
        reused: bool,
        agree: oneshot::Sender<()>,
    ) -> Result<Answered, Failure> {
        let limits = &ctx.snapshot.config.limits;
        let (mut head, end) = self.final_head(reader, answer, progress, ctx, reused).await?;
        let mut pace = Pace::new(limits);
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            wire::take_answer(&mut head, false).map_err(Failure::broken)?;
            pace.waiting_for(answer.switch(head)).await?;
            progress.set_upgraded();
            // The other pipe may go on.
            let _ = agree.send(());
            self.answer_raw(reader, answer, ctx).await?;
            return Ok(Answered { upgraded: true });
        }
        drop(agree);
        let mut body = wire::take_answer(&mut head, self.request.method == Method::HEAD).map_err(Failure::broken)?;
        if end && body != Body::None {
            if matches!(body, Body::Length(1..)) {
                return Err(Failure::broken("the answer ended before its body"));
            }
            body = Body::Length(0);
            // There is room: the answer has as many fields as came.
            let _ = head.insert_header(http::header::CONTENT_LENGTH, "0");
        }
        if !progress.is_whole() {
            answer.close();
        }
        pace.waiting_for(answer.head(head, body, end)).await?;
        while !answer.ended {
            match self.next_of_body(reader, answer, progress).await? {
                Event::Piece(piece, last) => {
                    let (length, _held) = (piece.len(), self.proxy.places.hold(piece.len()));
                    pace.waiting_for(answer.piece(piece, last)).await?;
                    pace.moved(length)?;
                }
                Event::End(trailers) => pace.waiting_for(answer.end(trailers.map(outgoing::trailers))).await?,
                Event::Head(..) => return Err(Failure::broken("a header behind the header")),
            }
        }
        Ok(Answered { upgraded: false })
    }

    /// The header of the answer, behind whatever interim ones.
    async fn final_head(
        &self,
        reader: &mut Reader,
        answer: &mut ClientAnswer,
        progress: &Progress,
        ctx: &RequestContext,
        reused: bool,
    ) -> Result<(ResponseHeader, bool), Failure> {
        for interim in 0..=MAX_INTERIM {
            let event = tokio::select! {
                biased;
                event = reader.next() => event,
                failure = answer.gone() => return Err(failure),
                () = progress.silence(None, self.admitted.timeout) => {
                    return Err(Failure::new(Cause::UpstreamSlow, "no header of an answer in time"));
                }
            };
            match event {
                Ok(Event::Head(head, _)) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                    if self.websocket && head.version == http::Version::HTTP_11 {
                        return Ok((*head, false));
                    }
                    return Err(Failure::broken("an upgrade that nobody asked for"));
                }
                Ok(Event::Head(mut head, _)) if head.status.is_informational() => {
                    wire::take_answer(&mut head, false).map_err(Failure::broken)?;
                    if head.status == StatusCode::CONTINUE {
                        progress.expects_no_more();
                    }
                    Pace::new(&ctx.snapshot.config.limits).waiting_for(answer.interim(&head)).await?;
                }
                Ok(Event::Head(head, end)) => return Ok((*head, end)),
                Ok(_) => return Err(Failure::broken("a body without a header")),
                Err(error) => {
                    // What it did not take is why it does not answer.
                    return Err(progress
                        .refused()
                        .unwrap_or_else(|| Failure::of_upstream(&error, reused && interim == 0)));
                }
            }
        }
        Err(Failure::broken("interim answers without end"))
    }

    /// What follows of the body; lets go what waits when nothing does.
    async fn next_of_body(
        &self,
        reader: &mut Reader,
        answer: &mut ClientAnswer,
        progress: &Progress,
    ) -> Result<Event, Failure> {
        let silence = progress.silence(Some(Instant::now()), self.admitted.pool.config().read_timeout);
        let next = reader.next();
        tokio::pin!(next, silence);
        loop {
            let waits = answer.waits();
            tokio::select! {
                biased;
                event = &mut next => return event.map_err(|error| Failure::of_upstream(&error, false)),
                failure = answer.gone() => return Err(failure),
                () = sleep(FLUSH_AFTER), if waits => answer.flush().await?,
                () = &mut silence => return Err(Failure::new(Cause::UpstreamSlow, "the answer does not go on")),
            }
        }
    }

    /// What comes of an upgraded connection, whose messages may be far apart.
    async fn answer_raw(
        &self,
        reader: &mut Reader,
        answer: &mut ClientAnswer,
        ctx: &RequestContext,
    ) -> Result<(), Failure> {
        let idle = ctx.snapshot.config.limits.body_idle_timeout;
        loop {
            match reader.next().await.map_err(|error| Failure::of_upstream(&error, false))? {
                Event::Piece(piece, _) => {
                    let taken = timeout(idle, answer.piece(piece, false)).await;
                    taken
                        .map_err(|_| Failure::new(Cause::ClientSlow(Limit::BodyIdleTimeout), "it takes nothing"))??;
                }
                Event::End(_) => return answer.end(None).await,
                Event::Head(..) => return Err(Failure::broken("a header behind an upgrade")),
            }
        }
    }

    /// Lets nothing out of a connection that was cut (invariant 1): since the request was admitted, a peer may have taken
    /// seconds to accept, and bytes read before the cut may wait in buffers.
    fn still_connected(&self) -> Result<(), Failure> {
        if self.served.connection.cut.is_open() {
            return Ok(());
        }
        Err(Failure::gone("the gateway cut this connection"))
    }
}

/// How an exchange ended well.
struct Answered {
    upgraded: bool,
}

/// Waits until the client is gone, in either version of HTTP.
pub(super) async fn gone(body: &mut RequestBody, answer: &mut ClientAnswer) -> Failure {
    tokio::select! {
        failure = body.gone() => failure,
        failure = answer.gone() => failure,
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

fn passed(sending: bool) -> Failure {
    Failure::new(Cause::Deadline { sending }, "request_timeout")
}

async fn taken_in_time(patience: Duration, write: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let taken = timeout(patience, write).await;
    taken.map_err(|_| Failure::new(Cause::UpstreamSlow, "the upstream takes no more of the body"))?
}
