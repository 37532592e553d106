"""The three instances of the demo: two Baileys numbers on two servers, and one number on Meta's Cloud API."""

from dataclasses import dataclass, replace

from conversations.demo import demo_clock


@dataclass(frozen=True)
class DemoInstance:
    """One instance of the demo: its owner, its Evolution server, its chats, and the form of its webhooks.

    Attributes:
        agents: people who answer customers: (name, whether the name is feminine).
        topic: topic of the scripts that direct chats replay.
        languages: languages of the instance's contacts: (language, relative frequency).
        region: determines the phone numbers of the instance's contacts, see `people.generate_people`.
        groups: the instance's groups: (subject, topic of the scripts).
        share: fraction of the demo's conversations that belong to the instance.
        group_share: fraction of the instance's conversations that are groups.
        connected_at: time of the instance's first `connection.update` event with state `open`.
        end: time after which the instance sends no event.
        webhook_by_events: whether the event name is the last segment of the webhook URL.
    """

    name: str
    server_url: str
    instance_id: str
    is_cloud_api: bool
    owner: str
    owner_lid: str
    profile_name: str
    agents: tuple[tuple[str, bool], ...]
    topic: str
    languages: tuple[tuple[str, float], ...]
    region: str
    groups: tuple[tuple[str, str], ...]
    share: float
    group_share: float
    connected_at: int
    webhook_by_events: bool = False
    api_key: str | None = None
    end: int = demo_clock.END

    def ending(self, end: int) -> "DemoInstance":
        """Return the instance with another end, connected at the same hour and as many days before the end."""
        moved = demo_clock.at_hour(end, 0) - demo_clock.at_hour(self.end, 0)
        return replace(self, end=end, connected_at=self.connected_at + moved)

    @property
    def owner_jid(self) -> str:
        """The owner's WhatsApp address (JID) with the phone number."""
        return f"{self.owner}@s.whatsapp.net"

    @property
    def owner_lid_jid(self) -> str:
        """The owner's WhatsApp address (JID) with the LID, which groups use."""
        return f"{self.owner_lid}@lid"


SALES_SP = DemoInstance(
    name="vendas-sp-01",  # the sample payloads contain the same instance name
    server_url="https://evo.example.com",
    instance_id="7d3f0c52-94f1-4c7e-9a6b-1f2d5e8a4c10",
    is_cloud_api=False,
    owner="5511940028922",
    owner_lid="118340028922417",
    profile_name="Loja Vendas SP",
    agents=(("Júlia", True), ("Caio", False)),
    topic="sale",
    languages=(("pt", 1.0),),
    region="pt",
    groups=(
        ("Entregas zona oeste 🛵", "deliveries"),
        ("Loja Vendas | interno", "social"),
        ("Feirão do mês", "social"),
        ("Motoboys parceiros", "deliveries"),
    ),
    share=0.58,
    group_share=0.03,
    connected_at=demo_clock.CONNECTED,
    api_key="9F0C2B7A-4E1D-4A63-B7C5-0D2E8F316A94",
)
SUPPORT_RJ = DemoInstance(
    name="suporte-rj-02",
    server_url="https://evo-rj.example.com",
    instance_id="b81e6d0f-3a57-4d29-8c14-52f7a90b6e33",
    is_cloud_api=False,
    owner="5521900100001",
    owner_lid="221900009999056",
    profile_name="Suporte Fibra RJ",
    agents=(("Beatriz", True), ("Anderson", False), ("Carla", True)),
    topic="isp",
    languages=(("pt", 0.75), ("en", 0.25)),
    region="rio",
    groups=(
        ("Técnicos zona sul", "field"),
        ("Plantão fim de semana", "field"),
        ("Churras da firma 🥩", "social"),
    ),
    share=0.38,
    group_share=0.03,
    connected_at=demo_clock.CONNECTED - 20 * demo_clock.MINUTE,
)
SUPPORT_CLOUD = DemoInstance(
    name="support-en-03",
    server_url="https://evo.example.com",
    instance_id="4c92f7e1-60bd-4f18-a3d5-9e0871c6b2fa",
    is_cloud_api=True,
    owner="442079460100",
    owner_lid="",
    profile_name="Trailhead Support",
    agents=(("Kate", True), ("Liam", False)),
    topic="store",
    languages=(("en", 1.0),),
    region="en",
    groups=(),
    share=0.04,
    group_share=0.0,
    connected_at=demo_clock.END - 10 * demo_clock.DAY,
    webhook_by_events=True,
)
INSTANCES = (SALES_SP, SUPPORT_RJ, SUPPORT_CLOUD)
