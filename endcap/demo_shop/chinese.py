"""The Chinese shop's words. Brand and series names are invented."""

from __future__ import annotations

from endcap.demo_shop.words import Labels, Language, read_leaves, read_measures, read_terms

_CATEGORIES = {
    "furniture": "家具",
    "living": "客厅家具",
    "bedroom": "卧室家具",
    "study": "书房家具",
    "kitchen": "厨房餐厅",
    "cooking": "锅具刀具",
    "appliances": "厨房小家电",
    "tableware": "餐具水具",
    "clothing": "服饰鞋包",
    "men": "男装",
    "women": "女装",
    "shoes": "鞋靴",
    "accessories": "配饰箱包",
    "electronics": "数码电子",
    "audio": "影音",
    "computing": "电脑外设",
    "mobile": "手机配件",
    "outdoors": "运动户外",
    "camping": "露营装备",
    "fitness": "健身器材",
    "cycling": "骑行装备",
    "beauty": "美妆香氛",
    "skin": "护肤",
    "hair": "美发护发",
    "fragrance": "香氛",
    "toys": "玩具游戏",
    "play": "益智玩具",
    "games": "桌面游戏",
    "garden": "工具园艺灯饰",
    "tools": "五金工具",
    "yard": "园艺",
    "lighting": "灯饰",
    "pets": "宠物",
    "dogs": "狗用品",
    "cats": "猫用品",
}

_LEAVES = """
sofa | 沙发 | 沙发 | 客厅长椅, 软座椅 | 转角, 可拆洗, 多功能, 北欧风
coffee_table | 茶几 | 茶几 | 客厅矮桌, 茶台 | 圆形, 升降, 双层, 套几
tv_stand | 电视柜 | 电视柜 | 视听柜, 电视机柜子 | 悬挂, 落地, 北欧风
armchair | 单人椅 | 单人休闲椅, 休闲椅 | 懒人椅, 躺椅 | 旋转, 可躺, 高背
bed_frame | 床架 | 床架, 双人床 | 睡床, 大床 | 储物, 软包, 矮脚
mattress | 床垫 | 床垫 | 席梦思, 睡垫 | 记忆棉, 乳胶, 偏硬, 透气
nightstand | 床头柜 | 床头柜 | 床边柜, 床边小桌 | 无线充电, 悬浮, 简约
dresser | 斗柜 | 斗柜 | 抽屉柜, 五斗橱 | 高款, 复古, 静音
desk | 书桌 | 书桌, 电脑桌 | 写字台, 办公台 | 升降, 折叠, 转角, 带抽屉
office_chair | 办公椅 | 办公椅, 电脑椅 | 转椅, 老板椅 | 人体工学, 高背, 可调节
bookcase | 书架 | 书架, 书柜 | 置书架, 藏书柜 | 落地, 转角, 工业风
frying_pan | 平底锅 | 平底锅 | 煎锅, 煎盘 | 不粘, 电磁炉通用, 加深
saucepan | 奶锅 | 奶锅 | 小汤锅, 辅食锅 | 不粘, 带盖
dutch_oven | 炖锅 | 炖锅 | 砂锅, 煲汤锅 | 珐琅, 椭圆, 带盖
knife_set | 刀具套装 | 刀具套装 | 菜刀组合, 厨刀 | 锻打, 免磨
blender | 料理机 | 料理机 | 榨汁机, 搅拌机 | 便携, 静音, 高速
coffee_maker | 咖啡机 | 咖啡机 | 咖啡壶, 意式机 | 全自动, 胶囊, 滴漏
kettle | 电热水壶 | 电热水壶 | 烧水壶, 煮水器 | 恒温, 细嘴, 自动断电
toaster | 烤面包机 | 烤面包机, 多士炉 | 吐司机 | 宽槽, 复古
mug | 马克杯 | 马克杯 | 茶杯, 咖啡杯 | 手工, 大容量, 可叠放
plates | 餐盘 | 餐盘套装, 盘子 | 碟子, 碗碟 | 哑光, 微波炉可用
water_bottle | 水杯 | 水杯, 保温杯 | 水壶, 水瓶 | 防漏, 吸管, 便携
mens_tshirt | 男士T恤 | 男士短袖, 男士T恤 | 男汗衫, 男上衣 | 圆领, V领, 修身, 印花
mens_jeans | 男士牛仔裤 | 男士牛仔裤 | 男裤子, 男长裤 | 修身, 宽松, 弹力
mens_jacket | 男士夹克 | 男士夹克, 男士外套 | 男冲锋衣, 男风衣 | 防水, 连帽, 轻薄
dress | 连衣裙 | 连衣裙 | 裙子, 长裙 | 碎花, 收腰, 无袖, 法式
womens_sweater | 女士毛衣 | 女士毛衣 | 女针织衫, 女线衣 | 高领, 宽松, 短款
leggings | 打底裤 | 打底裤 | 瑜伽裤, 紧身裤 | 高腰, 加绒, 无痕
running_shoes | 跑步鞋 | 跑步鞋, 跑鞋 | 运动鞋, 训练鞋 | 缓震, 越野, 轻便
boots | 靴子 | 靴子, 短靴 | 马丁鞋, 中筒鞋 | 防水, 加绒, 系带
sandals | 凉鞋 | 凉鞋 | 拖鞋, 凉拖 | 厚底, 软底
backpack | 双肩包 | 双肩包 | 背包, 书包 | 防水, 防盗, 大容量
sunglasses | 太阳镜 | 太阳镜 | 墨镜, 遮阳镜 | 偏光, 大框, 复古
wallet | 钱包 | 钱包 | 皮夹, 卡包 | 超薄, 防盗刷
headphones | 头戴耳机 | 头戴式耳机 | 耳麦, 大耳机 | 降噪, 无线, 折叠
earbuds | 无线耳机 | 蓝牙耳机, 入耳式耳机 | 耳塞, 小耳机 | 降噪, 防水, 骨传导
speaker | 音箱 | 蓝牙音箱, 音箱 | 音响, 喇叭 | 便携, 防水, 智能
keyboard | 键盘 | 键盘 | 打字板, 按键板 | 机械, 无线, 背光
mouse | 鼠标 | 鼠标 | 滑鼠, 光标器 | 无线, 人体工学, 静音
monitor | 显示器 | 显示器 | 电脑屏幕, 荧幕 | 曲面, 4K, 便携
webcam | 摄像头 | 电脑摄像头 | 视频镜头, 网课相机 | 自动对焦, 广角
phone_case | 手机壳 | 手机壳 | 手机套, 保护套 | 防摔, 透明, 磁吸
charger | 充电器 | 充电器 | 充电头, 电源适配器 | 快充, 折叠, 双口
power_bank | 充电宝 | 充电宝 | 移动电源, 备用电池 | 超薄, 快充, 磁吸
tent | 帐篷 | 帐篷 | 露营棚, 野营屋 | 速开, 防雨, 轻量
sleeping_bag | 睡袋 | 睡袋 | 野营被, 户外被子 | 木乃伊式, 双人, 羽绒
camp_stove | 露营炉 | 露营炉, 卡式炉 | 野炊灶, 户外炉具 | 折叠, 防风
flashlight | 手电筒 | 手电筒 | 手提灯, 照明灯 | 可充电, 强光, 变焦
yoga_mat | 瑜伽垫 | 瑜伽垫 | 健身垫, 运动垫 | 防滑, 加厚, 折叠
dumbbells | 哑铃 | 哑铃 | 手铃, 举重器 | 可调节, 六角
bike_helmet | 骑行头盔 | 骑行头盔 | 自行车帽, 单车安全帽 | 轻量, 带帽檐
bike_light | 自行车灯 | 自行车灯 | 单车灯, 尾灯 | 可充电, 防水
moisturizer | 面霜 | 面霜 | 保湿乳, 润肤霜 | 无香, 抗皱, 清爽
sunscreen | 防晒霜 | 防晒霜 | 防晒乳, 隔离霜 | 物理防晒, 防汗
shampoo | 洗发水 | 洗发水 | 洗头膏, 香波 | 去屑, 控油, 蓬松
hair_dryer | 吹风机 | 吹风机 | 电吹风, 风筒 | 负离子, 折叠, 大风力
perfume | 香水 | 香水 | 香氛喷雾, 古龙水 | 花香调, 木质调, 清新
candle | 香薰蜡烛 | 香薰蜡烛 | 香烛, 助眠烛 | 大豆蜡, 薰衣草
building_set | 积木 | 积木 | 拼装玩具, 搭建玩具 | 磁力, 太空, 城堡
puzzle | 拼图 | 拼图 | 图画拼版, 拼板 | 风景, 立体
stuffed_animal | 毛绒玩具 | 毛绒玩具 | 布娃娃, 公仔 | 大号, 会唱歌
board_game | 桌游 | 桌游 | 桌面棋牌, 聚会棋 | 合作, 策略
drill | 电钻 | 电钻 | 起子机, 打孔机 | 无刷, 冲击, 小型
screwdrivers | 螺丝刀套装 | 螺丝刀套装 | 改锥, 螺丝批 | 磁性, 精密
garden_hose | 花园水管 | 花园水管 | 浇花管, 软管 | 伸缩, 防缠绕
planter | 花盆 | 花盆 | 花钵, 种植盆 | 吊挂, 自吸水
desk_lamp | 台灯 | 台灯 | 桌灯, 阅读灯 | 可调光, 夹式, 护眼
floor_lamp | 落地灯 | 落地灯 | 立灯, 站灯 | 弧形, 三脚架, 可调光
string_lights | 彩灯串 | 彩灯串 | 小灯串, 星星灯 | 太阳能, 户外
dog_bed | 狗窝 | 狗窝 | 狗床, 宠物垫 | 可拆洗, 加热
dog_leash | 牵引绳 | 牵引绳 | 遛狗绳, 狗链 | 伸缩, 反光
cat_tree | 猫爬架 | 猫爬架 | 猫树, 猫架 | 高款, 带吊床
"""

_COLORS = """
gray | 灰色 | 深灰, 浅灰
beige | 米色 | 奶油色, 杏色
white | 白色 | 纯白
black | 黑色 | 纯黑
navy | 藏青色 | 深蓝
green | 绿色 | 墨绿
brown | 棕色 | 咖啡色
teal | 青色 | 蓝绿
silver | 银色 | 亮银
red | 红色 | 大红
olive | 军绿色 | 橄榄绿
burgundy | 酒红色 | 暗红
blue | 蓝色 | 天蓝
pink | 粉色 | 粉红
orange | 橙色 | 橘色
yellow | 黄色 | 姜黄
purple | 紫色 | 浅紫
"""

_MATERIALS = """
linen | 亚麻 | 麻布
leather | 真皮 | 牛皮
velvet | 丝绒 | 绒布
oak | 橡木 | 橡木实木
walnut | 胡桃木 | 黑胡桃
pine | 松木 | 松木实木
bamboo | 竹制 | 竹子
steel | 钢制 | 金属
stainless | 不锈钢 | 食品级钢
cast iron | 铸铁 | 生铁
aluminum | 铝合金 | 铝
ceramic | 陶瓷 | 陶
glass | 玻璃 | 透明玻璃
porcelain | 骨瓷 | 瓷
cotton | 纯棉 | 全棉
wool | 羊毛 | 羊绒毛
polyester | 涤纶 | 化纤
cashmere | 山羊绒 | 纯羊绒
suede | 麂皮 | 磨砂皮
mesh | 网面 | 透气网布
canvas | 帆布 | 厚帆布
nylon | 尼龙 | 锦纶
silicone | 硅胶 | 软胶
plastic | 塑料 | 树脂
rubber | 橡胶 | 天然胶
cork | 软木 | 木栓
wood toy | 木制 | 木头
plush | 绒毛 | 短绒
"""

_OCCASIONS = """
small_home | 小户型 | 出租屋
housewarming | 乔迁 | 新家
reading | 阅读角 | 看书
nursery | 婴儿房 | 宝宝房
kids_room | 儿童房 | 孩子房间
guest_room | 客房 | 客人
home_office | 居家办公 | 在家上班
camping | 露营 | 野营
wedding | 婚礼 | 结婚
party | 聚会 | 派对
gym | 健身 | 锻炼
office | 办公室 | 上班
dorm | 宿舍 | 寝室
christmas | 圣诞节 | 圣诞
school | 上学 | 开学
hiking | 徒步 | 登山
summer | 夏天 | 夏季
winter | 冬天 | 冬季
travel | 旅行 | 出差
beach | 海边 | 沙滩
gaming | 电竞 | 打游戏
emergency | 应急 | 停电
home_gym | 家庭健身 | 在家锻炼
commuting | 通勤 | 上下班
kids | 儿童 | 小孩
birthday | 生日 | 生日礼物
balcony | 阳台 | 露台
"""

_MEASURES = """
seats | 座位 | 双人位, 三人位, 四人位
width | 宽度 | 80cm, 100cm, 120cm, 140cm, 160cm
bed | 床尺寸 | 0.9米, 1.2米, 1.5米, 1.8米
drawers | 抽屉数 | 单抽, 两抽, 三抽, 六抽
shelves | 层数 | 三层, 四层, 五层, 六层
pan | 直径 | 20cm, 26cm, 30cm
quarts | 容量 | 2升, 3升, 5升, 7升
pieces_s | 件数 | 4件套, 6件套, 12件套, 16件套
watts | 功率 | 300瓦, 600瓦, 1000瓦, 1500瓦
cups | 杯数 | 4杯量, 8杯量, 10杯量, 12杯量
liters | 容量 | 0.8升, 1.0升, 1.5升, 1.7升
slices | 片数 | 两片, 四片
ounces | 容量 | 350毫升, 450毫升, 600毫升, 1000毫升
size | 尺码 | XS码, S码, M码, L码, XL码, XXL码
waist | 腰围 | 30码, 32码, 34码, 36码
shoe | 鞋码 | 38码, 39码, 40码, 42码, 44码
liters_b | 容积 | 15升, 20升, 30升, 45升
hours | 时长 | 20小时, 30小时, 40小时, 60小时
keys | 键数 | 61键, 87键, 104键
dpi | 精度 | 1600DPI, 4000DPI, 8000DPI
screen | 屏幕 | 24英寸, 27英寸, 32英寸, 34英寸
video | 画质 | 720P, 1080P, 1440P
phone | 适配 | 6.1英寸, 6.4英寸, 6.7英寸
watts_c | 功率 | 20瓦, 30瓦, 45瓦, 65瓦, 100瓦
mah | 电量 | 5000毫安, 10000毫安, 20000毫安, 26800毫安
people | 人数 | 2人, 4人, 6人, 8人
degrees | 温标 | 5度, 零下5度, 零下15度
burners | 灶头 | 单灶, 双灶
lumens | 亮度 | 200流明, 500流明, 800流明, 1200流明
thickness | 厚度 | 4mm, 6mm, 10mm
pounds | 重量 | 2公斤, 5公斤, 10公斤, 15公斤
ml | 净含量 | 30毫升, 50毫升, 100毫升, 250毫升
spf | 防晒值 | SPF30, SPF50, SPF70
pieces | 片数 | 100片, 300片, 500片, 1000片
tall | 高度 | 25cm, 40cm, 60cm
players | 人数 | 2人玩, 4人玩, 6人玩
volts | 电压 | 12伏, 18伏, 20伏
feet | 长度 | 2米, 5米, 10米, 15米
width_s | 口径 | 15cm, 20cm, 25cm, 35cm
pet | 适用体型 | 小号, 中号, 大号
levels | 层数 | 三层, 五层, 七层
"""

_FIRST = "岚栎澜穗砚霁蔚桉珞汐"
_SECOND = "棠屿牧序川朔禾珩"
# Each first character pairs with every second one and a third that depends on both: 80 names, all different.
_THIRD = "居坊记汇园里集"

CHINESE = Language(
    code="zh",
    currency="CNY",
    exchange=7.0,
    labels=Labels("品牌", "商品", "颜色", "材质", "价格", "规格", "场合"),
    categories=_CATEGORIES,
    leaves=read_leaves(_LEAVES),
    colors=read_terms(_COLORS),
    materials=read_terms(_MATERIALS),
    occasions=read_terms(_OCCASIONS),
    measures=read_measures(_MEASURES),
    brands=tuple(
        first + second + _THIRD[(3 * row + column) % len(_THIRD)]
        for row, first in enumerate(_FIRST)
        for column, second in enumerate(_SECOND)
    ),
    series=("星野", "拾光", "半山", "听雨", "知夏", "远舟", "白露", "松间", "云起", "初见", "南枝", "长风"),
    title_patterns=(
        "{brand} {series}{modifier}{material}{noun} {color}",
        "{brand}{modifier}{noun} {color} {measure}",
        "{modifier}{noun} {measure} {color} {brand}",
        "{brand}{measure}{material}{noun}({color})",
        "{brand} {series}{number} {noun}",
        "{brand}{noun}{series}系列 {measure}",
        "{material}{noun}{modifier}{color} {brand}",
        "{brand}{series}{noun} {measure}{color}",
    ),
    descriptions=(
        "{brand}{series}系列{noun}。{facts}",
        "{brand}出品的{noun}，日常使用。{facts}",
        "{facts}属于{series}系列。",
    ),
    price_patterns=("max:{high}元以下", "max:{high}元以内", "max:不超过{high}元", "range:{low}到{high}元"),
    filler=("想买", "推荐", "买个", "好用的", "求"),
    occasion_pattern="{occasion}用",
    letters=False,
    attribute_names=("颜色", "材质", "特点", "场合"),
)
