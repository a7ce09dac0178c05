//! The server to which fan-out is compared: a textbook broadcast with actix-web-actors. It has an actor per connection
//! and a lobby that sends the text to each of them, and stores nothing. It runs in its own process, like the hub.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, StreamHandler};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws;

/// The argument with which this program runs as the bare server.
pub const ARGUMENT: &str = "serve-bare";

/// A bare server in its own process. Dropping it ends the process.
pub struct Bare {
    child: Child,
    pub address: SocketAddr,
}

impl Bare {
    pub fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child =
            Command::new(program).arg(ARGUMENT).stdout(Stdio::piped()).spawn().expect("the bare server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("its address");
        Self { address: line.trim().parse().expect("an address"), child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Message, Clone)]
#[rtype(result = "()")]
struct Text(String);

#[derive(Message)]
#[rtype(result = "()")]
struct Join(Addr<Session>);

#[derive(Message)]
#[rtype(result = "()")]
struct Leave(Addr<Session>);

#[derive(Default)]
struct Lobby(HashMap<Addr<Session>, ()>);

impl Actor for Lobby {
    type Context = Context<Self>;
}

impl Handler<Join> for Lobby {
    type Result = ();
    fn handle(&mut self, join: Join, _: &mut Self::Context) {
        self.0.insert(join.0, ());
    }
}

impl Handler<Leave> for Lobby {
    type Result = ();
    fn handle(&mut self, leave: Leave, _: &mut Self::Context) {
        self.0.remove(&leave.0);
    }
}

impl Handler<Text> for Lobby {
    type Result = ();
    fn handle(&mut self, text: Text, _: &mut Self::Context) {
        for session in self.0.keys() {
            session.do_send(text.clone());
        }
    }
}

struct Session {
    lobby: Addr<Lobby>,
}

impl Actor for Session {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.lobby.do_send(Join(context.address()));
    }

    fn stopped(&mut self, context: &mut Self::Context) {
        self.lobby.do_send(Leave(context.address()));
    }
}

impl Handler<Text> for Session {
    type Result = ();
    fn handle(&mut self, text: Text, context: &mut Self::Context) {
        context.text(text.0);
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Session {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, context: &mut Self::Context) {
        match message {
            Ok(ws::Message::Ping(payload)) => context.pong(&payload),
            // The confirmation that the clients expect after their hello.
            Ok(ws::Message::Text(_)) => context.text(r#"{"type":"subscribed","channel":"seats:all"}"#),
            Ok(ws::Message::Close(_)) | Err(_) => context.stop(),
            Ok(_) => {}
        }
    }
}

async fn connect(
    request: HttpRequest,
    stream: web::Payload,
    lobby: web::Data<Addr<Lobby>>,
) -> Result<HttpResponse, Error> {
    ws::start(Session { lobby: lobby.get_ref().clone() }, &request, stream)
}

async fn broadcast(body: String, lobby: web::Data<Addr<Lobby>>) -> HttpResponse {
    lobby.do_send(Text(body));
    HttpResponse::Ok().finish()
}

/// Runs the bare server: prints its address and serves until the process is killed.
pub fn serve() {
    let served = actix_web::rt::System::new().block_on(async {
        let lobby = web::Data::new(Lobby::default().start());
        let app = move || {
            App::new()
                .app_data(lobby.clone())
                .route("/alerts/ws", web::get().to(connect))
                .route("/broadcast", web::post().to(broadcast))
        };
        // Connections must stay open while they are idle between alerts.
        let server = HttpServer::new(app)
            .keep_alive(Duration::from_secs(75))
            .client_request_timeout(Duration::from_secs(60))
            .bind("127.0.0.1:0")?;
        println!("{}", server.addrs()[0]);
        server.run().await
    });
    served.expect("the bare server failed");
}
