"""Creates the site of an example college in an empty database: `zconsole run zope.conf site.py`.

Creates the sections of the next term, news items, and users who are students, staff and administrators in the hub.
Apart from times and Plone's ids, the result depends only on the date. install.sh runs this script.
"""

import struct
import zlib
from datetime import date, datetime, timedelta, timezone

import transaction
from AccessControl.SecurityManagement import newSecurityManager
from DateTime import DateTime
from plone.app.textfield.value import RichTextValue
from plone.dexterity.fti import DexterityFTI
from plone.dexterity.utils import createContentInContainer
from plone.namedfile.file import NamedBlobImage
from Products.CMFCore.utils import getToolByName
from Products.CMFPlone.factory import addPloneSite
from Testing.makerequest import makerequest
from zope.component.hooks import setSite
from zope.globalrequest import setRequest

# The password of all accounts. It is public: the site is for development only.
PASSWORD = "eduhub-plone"
STUDENTS = 40
SECTIONS = 300
# The hub's demonstration college has lower CRNs in the same term.
FIRST_CRN = 30001
# Indexes of private sections, which visitors cannot see.
PRIVATE = {37, 112, 205, 280}
# The term of the site starts more than this number of days from today.
NOTICE_DAYS = 10

SECTION_TYPE = """\
<model xmlns="http://namespaces.plone.org/supermodel/schema"
       xmlns:security="http://namespaces.plone.org/supermodel/security">
  <schema>
    <field name="term" type="zope.schema.TextLine"><title>Term</title></field>
    <field name="crn" type="zope.schema.TextLine"><title>CRN</title></field>
    <field name="course" type="zope.schema.TextLine"><title>Course</title></field>
    <field name="component" type="zope.schema.TextLine"><title>Component</title><required>False</required></field>
    <field name="section" type="zope.schema.TextLine"><title>Section</title><required>False</required></field>
    <field name="credits" type="zope.schema.Float"><title>Credits</title><required>False</required></field>
    <field name="instructor" type="zope.schema.TextLine"><title>Instructor</title><required>False</required></field>
    <field name="capacity" type="zope.schema.Int"><title>Capacity</title><required>False</required></field>
    <field name="waitlist_capacity" type="zope.schema.Int">
      <title>Waitlist capacity</title><required>False</required>
    </field>
    <field name="meetings" type="zope.schema.Text">
      <title>Meetings</title>
      <description>One per line: MWF 09:30-10:50 2026-01-12..2026-05-08 Room</description>
      <required>False</required>
    </field>
    <field name="seats_taken" type="zope.schema.Int"
           security:write-permission="cmf.ModifyPortalContent">
      <title>Seats taken</title><description>Written by the hub</description><required>False</required>
    </field>
    <field name="waitlisted" type="zope.schema.Int"
           security:write-permission="cmf.ModifyPortalContent">
      <title>Waitlisted</title><description>Written by the hub</description><required>False</required>
    </field>
    <field name="roster" type="zope.schema.List"
           security:read-permission="cmf.ModifyPortalContent"
           security:write-permission="cmf.ModifyPortalContent">
      <title>Roster</title>
      <description>Written by the hub. Only users who may edit the section can read it</description>
      <required>False</required>
      <value_type type="zope.schema.TextLine" />
    </field>
  </schema>
</model>
"""

# Course, title, credits, whether each lecture has a lab of its own, number of lectures, capacity.
COURSES = [
    ("ACCT 101", "Financial Accounting", 4, False, 8, 36),
    ("ANTH 110", "Cultural Anthropology", 3, False, 6, 40),
    ("ARTS 105", "Drawing I", 3, False, 6, 20),
    ("ASTR 101", "The Solar System", 4, True, 4, 32),
    ("BIOL 101", "Principles of Biology", 4, True, 10, 24),
    ("BIOL 151", "Human Anatomy", 5, True, 8, 24),
    ("BUSN 100", "Introduction to Business", 3, False, 8, 40),
    ("CHEM 101", "Introductory Chemistry", 4, True, 8, 24),
    ("CHEM 161", "General Chemistry I", 5, True, 8, 24),
    ("COMM 101", "Public Speaking", 3, False, 12, 26),
    ("CSCI 151", "Programming I", 4, True, 10, 28),
    ("CSCI 220", "Data Structures", 4, False, 4, 32),
    ("ECON 201", "Microeconomics", 3, False, 8, 40),
    ("ENGL 101", "English Composition I", 3, False, 20, 25),
    ("ENGL 102", "English Composition II", 3, False, 14, 25),
    ("GEOG 101", "Physical Geography", 3, False, 6, 40),
    ("HIST 101", "World History to 1500", 3, False, 8, 40),
    ("MATH 098", "Intermediate Algebra", 5, False, 12, 34),
    ("MATH 146", "Introduction to Statistics", 5, False, 12, 38),
    ("MATH 151", "Calculus I", 5, False, 10, 35),
    ("MUSC 141", "Music Theory I", 1.5, False, 6, 24),
    ("NURS 110", "Foundations of Nursing", 8, True, 4, 5),
    ("PHIL 101", "Introduction to Philosophy", 3, False, 8, 40),
    ("PHYS 114", "General Physics I", 5, True, 6, 24),
    ("POLS 101", "American Government", 3, False, 8, 40),
    ("PSYC 100", "General Psychology", 5, False, 10, 40),
    ("SOCI 101", "Introduction to Sociology", 3, False, 10, 40),
    ("SPAN 101", "Elementary Spanish I", 5, False, 12, 26),
]
# Capacities of some sections, by index: so low that a few students fill them.
SMALL = {4: 1, 60: 2, 61: 3, 120: 1, 121: 2, 180: 3}
FAMILY_NAMES = (
    "Abara Albrecht Almeida Andersen Bajwa Barros Begay Castillo Chen Cohen Dominguez Dubois Eriksen Farah Fischer "
    "Fraser Gallagher Garcia Haddad Hansen Hughes Ito Jansen Kaplan Khan Kim Kowalski Larsen Le Lopez Mbeki Moreau "
    "Nakamura Novak Okafor Olsen Patel Petrov Quinn Ramirez Rossi Santos Schmidt Tanaka Tran Vargas Walker Yilmaz"
).split()
FIRST_NAMES = "Ada Ben Cleo Dana Eli Fay Gus Hana Ivo Jun Kai Lea Max Noa Omar Pia Quin Rosa Sol Tess".split()
# Meetings of courses with fewer than five credits, of the others, and of labs.
SHORT = [
    ("MWF", "08:00-08:50"), ("TR", "08:00-09:20"), ("MWF", "09:00-09:50"), ("TR", "09:30-10:50"),
    ("MWF", "10:00-10:50"), ("TR", "11:00-12:20"), ("MWF", "11:00-11:50"), ("TR", "12:30-13:50"),
    ("MWF", "13:00-13:50"), ("TR", "14:00-15:20"), ("MW", "17:00-18:20"), ("TR", "18:30-19:50"),
]
LONG = [
    ("MTWR", "08:00-09:05"), ("MTWR", "09:30-10:35"), ("MTWR", "11:00-12:05"), ("MTWR", "12:30-13:35"),
    ("MTWR", "14:00-15:05"), ("MW", "18:00-20:10"),
]
LAB = [("M", "14:30-17:20"), ("T", "14:30-17:20"), ("W", "14:30-17:20"), ("R", "14:30-17:20"), ("F", "08:30-11:20")]


def monday(year, month, nth):
    """Returns a Monday of a month with 31 days: 0 is the first one, -1 the last one."""
    days = [date(year, month, day) for day in range(1, 32)]
    return [day for day in days if day.weekday() == 0][nth]


def next_term(today):
    """Returns the id, the first day and the last day of the next term.

    A term lasts 16 weeks. It starts on the second Monday of January or on the last Monday of August.
    """
    for year in (today.year, today.year + 1):
        for month, starts_on in (("01", monday(year, 1, 1)), ("09", monday(year, 8, -1))):
            if starts_on > today + timedelta(days=NOTICE_DAYS):
                return f"{year}{month}", starts_on, starts_on + timedelta(weeks=15, days=4)
    raise ValueError(f"no term starts after {today}")


def meeting(number, credits, lab, starts_on, ends_on):
    """Returns the meeting of a section as text. No two sections of a kind get the same room at the same time."""
    slots = LAB if lab else LONG if credits >= 5 else SHORT
    days, hours = slots[number % len(slots)]
    building = "Science" if lab else "Lincoln" if credits >= 5 else "Main"
    return f"{days} {hours} {starts_on}..{ends_on} {building} {100 + number // len(slots)}"


def sections(term, starts_on, ends_on):
    """Returns the fields of all sections of a term."""
    made = []
    for course, title, credits, with_lab, count, seats in COURSES:
        for number in range(1, count + 1):
            for lab in (False, True) if with_lab else (False,):
                index = len(made)
                name = FAMILY_NAMES[(index * 7) % len(FAMILY_NAMES)]
                made.append({
                    "term": term,
                    "crn": str(FIRST_CRN + index),
                    "course": course,
                    "component": "lab" if lab else "lecture",
                    "section": f"{'B' if lab else 'A'}{number:02}",
                    "title": f"{title} Lab" if lab else title,
                    "credits": 0.0 if lab else float(credits),
                    "instructor": f"{name}, {chr(65 + index % 20)}.",
                    "capacity": SMALL.get(index, seats),
                    "waitlist_capacity": 0 if index % 7 == 6 else min(10, max(3, seats // 4)),
                    "meetings": meeting(index, credits, lab, starts_on, ends_on),
                    "seats_taken": 0,
                    "waitlisted": 0,
                    "roster": [],
                })
    if len(made) < SECTIONS:
        raise ValueError(f"the courses have only {len(made)} sections")
    return made[:SECTIONS]


def picture():
    """Returns a PNG (RFC 2083) of 16 by 9 pixels in one color."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + b"\x1f\x5f\x8b" * 16) * 9
    head = struct.pack(">IIBBBBB", 16, 9, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


NEWS = [
    ("welcome", "Registration opens on the hub", "Seats are shown live from 8:00.",
     "<p>Registration is on the hub now. <strong>Seats are live</strong>: you do not need to reload the page.</p>"),
    ("fees", "Fees and deadlines", "What is due, and when.",
     "<h2>Fees</h2><table><thead><tr><th>Item</th><th>Due</th></tr></thead><tbody>"
     "<tr><td>Tuition</td><td>First day of class</td></tr><tr><td>Lab fee</td><td>Second week</td></tr></tbody></table>"
     "<p>Questions go to the <a href=\"https://www.example.edu/fees\">fees office</a>.</p>"
     "<p><img src=\"campus.png\" alt=\"The campus\" /></p>"),
    ("library", "Library opens on Sundays", "From 10:00 to 18:00.",
     "<p>During term the library is open on Sundays, <em>10:00 to 18:00</em>.</p><ul><li>Ground floor</li>"
     "<li>Reading room</li></ul>"),
    ("parking", "Lot C is closed", "Until the end of the month.",
     "<p>Lot C is closed for repairs. Please use lots A &amp; B.</p>"),
    ("pasted", "A page pasted from elsewhere", "Its scripts must not run.",
     "<p onclick=\"alert(1)\">Text that was pasted</p><script>alert('news')</script>"
     "<p><a href=\"javascript:alert(2)\">a link</a></p>"),
    ("budget", "Budget, not to be published yet", "For staff.",
     "<p>This news item is private.</p>"),
]
PRIVATE_NEWS = {"budget"}


def make_site(app):
    site = addPloneSite(
        app,
        "Plone",
        title="Example College",
        setup_content=False,
        default_language="en",
        extension_ids=("plone.app.contenttypes:default", "plone.app.caching:default", "plone.restapi:default"),
    )
    setSite(site)
    return site


def make_type(site):
    fti = DexterityFTI(
        "course_section",
        title="Course Section",
        factory="course_section",
        model_source=SECTION_TYPE,
        behaviors="\n".join(["plone.dublincore", "plone.shortname", "plone.excludefromnavigation"]),
        add_permission="cmf.AddPortalContent",
        klass="plone.dexterity.content.Item",
        global_allow=True,
    )
    getToolByName(site, "portal_types")._setObject("course_section", fti)


def make_people(site):
    registration = getToolByName(site, "portal_registration")
    people = [
        ("eduhub", "EduHub", ["Member", "Site Administrator"]),
        ("registrar", "Regina Registrar", ["Member", "Editor"]),
        ("dean", "Dean Dominguez", ["Member", "Site Administrator"]),
        ("clerk", "Clara Clerk", ["Member"]),
    ]
    for number in range(1, STUDENTS + 1):
        name = f"{FIRST_NAMES[number % len(FIRST_NAMES)]} {FAMILY_NAMES[(number * 5) % len(FAMILY_NAMES)]}"
        people.append((f"student{number}", name, ["Member"]))
    for user, name, roles in people:
        properties = {"username": user, "fullname": name, "email": f"{user}@example.edu"}
        registration.addMember(user, PASSWORD, roles, properties=properties)
    groups = getToolByName(site, "portal_groups")
    groups.addGroup("registrars", roles=["Reviewer"], title="Registrars")
    groups.addPrincipalToGroup("clerk", "registrars")


def make_content(site):
    workflow = getToolByName(site, "portal_workflow")

    now = DateTime(datetime.now(timezone.utc).isoformat())

    def add(container, kind, publish=True, effective=now, **fields):
        item = createContentInContainer(container, kind, checkConstraints=False, **fields)
        if publish:
            # Publishing in the user interface sets this date, too.
            item.setEffectiveDate(effective)
            item.reindexObject(idxs=["effective", "effectiveRange"])
            workflow.doActionFor(item, "publish")
        return item

    front = "<p>Courses and college news. Registration is on the hub.</p>"
    add(site, "Document", id="front-page", title="Example College", text=RichTextValue(front, "text/html"))
    site.setDefaultPage("front-page")

    news = add(site, "Folder", id="news", title="News")
    image = createContentInContainer(
        news, "Image", checkConstraints=False, id="campus.png", title="The campus",
        image=NamedBlobImage(picture(), "image/png", "campus.png"),
    )
    image.reindexObject()
    for age, (name, title, description, text) in enumerate(NEWS):
        add(
            news, "News Item", publish=name not in PRIVATE_NEWS, effective=now - 2 * age, id=name, title=title,
            description=description, text=RichTextValue(text, "text/html", "text/x-html-safe"),
        )

    courses = add(site, "Folder", id="courses", title="Courses")
    for index, fields in enumerate(sections(*next_term(date.today()))):
        add(courses, "course_section", publish=index not in PRIVATE, id=f"{fields['term']}-{fields['crn']}", **fields)


def main(app):
    app = makerequest(app)
    setRequest(app.REQUEST)
    users = app.acl_users
    if users.getUser("admin") is None:
        users._doAddUser("admin", PASSWORD, ["Manager"], [])
    newSecurityManager(None, users.getUser("admin").__of__(users))
    site = make_site(app)
    make_type(site)
    make_people(site)
    make_content(site)
    transaction.commit()


main(app)  # noqa: F821: zconsole defines `app`
